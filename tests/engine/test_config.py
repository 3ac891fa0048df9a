"""`deploy.toml`: every wrong value is named with file, key, what was found and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer import config
from deployer.errors import DeployerError, Exit
from deployer.model import OnSlow, Step
from generating import GENERATED

GOOD = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
steps = [{ weight_pct = 10, bake_s = 300 }, { weight_pct = 50, bake_s = 600 }]
final_bake_s = 120
"""


def errors_of(text: str) -> DeployerError:
    """Return the error a settings file leads to."""
    with pytest.raises(DeployerError) as caught:
        config.parse(text)
    assert caught.value.exit_code == Exit.USAGE
    return caught.value


def production(*lines: str, steps: str = '"auto"') -> config.Environment:
    """Return the production table with those steps and lines."""
    text = GOOD[: GOOD.index("steps = ")] + "\n".join([f"steps = {steps}", *lines])
    return config.parse(text).environment("production")


def test_a_good_file_becomes_a_plan():
    """Steps, bakes and limits arrive in the plan the rollout follows; what is left out has its default."""
    read = config.parse(GOOD)
    settings = read.environment("production")
    assert settings.listed_steps() == (Step(10, 300), Step(50, 600))
    plan = settings.rollout_plan("7f3a", "42", settings.listed_steps())
    assert (plan.steps, plan.max_pause_s, plan.armed_s, plan.proves) == (
        (Step(10, 300), Step(50, 600)),
        3600,
        3600,
        True,
    )
    assert (plan.on_slow, plan.only_observes) == (OnSlow.PAUSE, False)
    assert not read.environment("staging").is_shared
    assert read.function_name("production") == "image-resizer-production"
    assert read.platform() == "linux/arm64"


def test_steps_from_traffic_are_one_word():
    """`steps = "auto"` lists nothing, and is shared traffic all the same."""
    settings = production()
    assert (settings.steps, settings.listed_steps(), settings.is_shared) == ("auto", (), True)
    assert (settings.find_pct, settings.within_s, settings.final_bake_s) == (2.0, 1800, 600)
    assert config.Config.model_validate_json(config.parse(GOOD).model_dump_json()) == config.parse(GOOD)


def test_weights_are_fractions():
    """A tenth of a percent is a weight, and a whole one stays whole."""
    listed = production(
        steps="[{ weight_pct = 0.1, bake_s = 120 }, { weight_pct = 10, bake_s = 120 }]"
    ).listed_steps()
    assert [step.weight_pct for step in listed] == [0.1, 10]
    assert isinstance(listed[1].weight_pct, int)


@pytest.mark.parametrize(
    ("lines", "steps", "line"),
    [
        (["find_pct = 0.4"], '"auto"', "environments.production: expected `find_pct` of at least `error_floor_pct`, found 0.4 and 0.5: a smaller difference never rolls back"),
        (["within_s = 359"], '"auto"', "environments.production: expected `within_s` of at least 360 (`settle_s` and four minutes), found 359: a shorter search ends before a minute of it can be judged"),
        (["within_s = 30"], '"auto"', "environments.production.within_s: found `30`, expected greater than or equal to 60"),
        ([], '"automatic"', "environments.production.steps: found `automatic`, expected 'auto'"),
        ([], "7", "environments.production.steps: found `7`, expected a valid list"),
        ([], "[{ weight_pct = 10, bake_s = 90 }]", "environments.production: expected steps and `final_bake_s` of whole minutes, at least 120 s, found 90: what is worse must be seen in two judged minutes"),
        (["final_bake_s = 60"], "[{ weight_pct = 10, bake_s = 120 }]", "environments.production: expected steps and `final_bake_s` of whole minutes, at least 120 s, found 60: what is worse must be seen in two judged minutes"),
        ([], "[{ weight_pct = 0.25, bake_s = 120 }]", "environments.production.steps[0]: expected `weight_pct` with one decimal at most, found 0.25"),
        (["min_canary_invocations = 50"], '"auto"', 'environments.production.min_canary_invocations: remove it: steps = "auto" says what the calls that come can show'),
        (['on_low_traffic = "pause"'], '"auto"', 'environments.production.on_low_traffic: remove it: want of calls never pauses; steps = "auto" goes by last week\'s traffic'),
        (["max_extend_s = 600"], '"auto"', 'environments.production.max_extend_s: remove it: a step is over after its judged minutes, and each has a longest time'),
        (["probe_every_s = 60"], '"auto"', "environments.production.probe_every_s: write sample_every_s: a probe proves nothing, and smoke/sample.toml is sent instead"),
    ],
)  # fmt: skip
def test_steps_that_prove_nothing_are_refused(lines, steps, line):
    """What can never be judged, and each key of an earlier release, is one line that says what to write."""
    with pytest.raises(DeployerError) as caught:
        production(*lines, steps=steps)
    assert caught.value.found == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("weight_pct = 10", "weight_pct = 0"), "environments.production.steps[0].weight_pct: found `0`, expected greater than or equal to 0.1"),
        (("weight_pct = 50", "weight_pct = 100"), "environments.production.steps[1].weight_pct: found `100`, expected less than or equal to 99.9"),
        (("weight_pct = 10", "weight_pct = 50"), "environments.production: expected steps with increasing `weight_pct`, found [50, 50]"),
        (("bake_s = 300", "bake_s = 59"), "environments.production.steps[0].bake_s: found `59`, expected greater than or equal to 60"),
        (("bake_s = 300", 'bake_s = "5 min"'), "environments.production.steps[0].bake_s: found `5 min`, expected a valid integer"),
        (('"arm64"', '"riscv"'), "function.architecture: found `riscv`, expected 'arm64' or 'x86_64'"),
        (('"image-resizer"', '"Image_Resizer"'), "function.name: found `Image_Resizer`, expected text like ^[a-z][a-z0-9-]{0,27}[a-z0-9]$"),
        (('region = "eu-west-1"', ""), "function.region: missing, expected a value"),
        (("[function]", '[accounts]\nregistry = "111111111111"\nstaging = "222222222222"\n[function]'), "accounts: expected `registry`, `staging` and `production`, or none, no production found"),
        (("[function]", '[accounts]\nregistry = "111"\nstaging = "222222222222"\nproduction = "333333333333"\n[function]'), "accounts.registry: found `111`, expected text like ^[0-9]{12}$"),
        (("[function]", '[accounts]\nproducer = "111111111111"\n[function]'), "accounts.producer: unknown key, expected one of the documented keys of that table"),
        (("final_bake_s = 120", "final_bake = 120"), "environments.production.final_bake: unknown key, expected one of the documented keys of that table"),
        (("final_bake_s = 120", "on_no_data = 'rollback'"), "environments.production.on_no_data: unknown key, expected one of the documented keys of that table"),
        (("final_bake_s = 120", "alpha = 0.5"), "environments.production.alpha: found `0.5`, expected less than 0.5"),
        (("final_bake_s = 120", "alpha = 0.0"), "environments.production.alpha: found `0.0`, expected greater than 0"),
        (("final_bake_s = 120", 'mode = "watch"'), "environments.production.mode: found `watch`, expected 'act' or 'observe'"),
        (("final_bake_s = 120", "max_pause_s = 59"), "environments.production.max_pause_s: found `59`, expected greater than or equal to 60"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(change, line):
    """The error names the key, the value found and the values allowed."""
    error = errors_of(GOOD.replace(*change))
    assert error.what == "`deploy.toml` has 1 value that cannot be used"
    assert error.found == line


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("function.variables", 'function.variables.AWS_REGION.[key]: expected a name that Lambda does not set itself, found `AWS_REGION`'),
        ("environments.staging.variables", 'environments.staging.variables.LAMBDA_TASK_ROOT.[key]: expected a name that Lambda does not set itself, found `LAMBDA_TASK_ROOT`'),
        ("function.variables", "function.variables.SIZE: expected a text or a whole number, found `True`"),
        ("function.variables", "function.variables.SIZE: expected a text or a whole number, found `1.5`"),
        ("parameters", "parameters.Size: expected a text or a whole number, found `[1]`"),
        ("function.variables", "function.variables.SIZE: expected a text without the character NUL"),
    ],
    ids=["a reserved name", "in one environment", "a boolean", "a fraction", "a list", "what ends a text"],
)  # fmt: skip
def test_a_variable_that_lambda_refuses_is_one_line(table, line):
    """What CloudFormation would refuse in the middle of a release is one line before it."""
    name = line.removeprefix(f"{table}.").partition(".")[0].partition(":")[0]
    found = line.rpartition("found `")[2].rstrip("`").lower() if "found `" in line else '"\\u0000"'
    value = '"x"' if "[key]" in line else found
    assert errors_of(f"{GOOD}[{table}]\n{name} = {value}\n").found == line


def test_an_unknown_table_says_where_its_values_belong():
    """A table that an earlier deployer read itself is the function's own: its keys are variables, by their names."""
    error = errors_of(f'{GOOD}[own]\nfirst_px = 0\nsecond = "a"\n')
    assert error.found == (
        "own: unknown table; what the function reads is in [function.variables], "
        'here FIRST_PX = 0, SECOND = "a"'
    )


def test_all_wrong_values_are_reported_at_once():
    """Nobody has to run it three times to learn of three mistakes."""
    text = (
        GOOD.replace('"arm64"', '"riscv"')
        .replace("bake_s = 300", "bake_s = 1")
        .replace("[project]", "[project]\nicon = 1")
    )
    assert len(errors_of(text).found.splitlines()) == 3


def test_text_that_is_not_toml_is_named():
    """A syntax error says where it is."""
    assert "line 2" in errors_of("a = 1\nb = \nc = 2").found


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path):
    """The error names the folder and the way out."""
    with pytest.raises(DeployerError) as caught:
        config.load(tmp_path / "deploy.toml")
    assert str(tmp_path) in caught.value.found
    assert "--config" in caught.value.hint


def test_an_unknown_environment_is_a_usage_error():
    """Only staging and production exist."""
    with pytest.raises(DeployerError, match="no environment `qa`"):
        config.parse(GOOD).environment("qa")


def test_the_gate_gets_its_settings():
    """What the comparison judges by comes from deploy.toml, and a slower canary is a failure `on_slow` decides about."""
    text = GOOD + 'alpha = 0.02\nerror_floor_pct = 1.5\non_slow = "off"\n'
    settings = config.parse(text).environment("production").gate_settings()
    assert (settings.alpha, settings.floor_pct) == (0.02, 1.5)
    assert not settings.compare_slow


def test_every_setting_of_the_file_is_one_of_the_code():
    """Each key of the production table in deploy.toml is read, and each that can be set is shown there."""
    text = (GENERATED / "deploy.toml").read_text(encoding="utf-8")
    shown = text.partition("[environments.production]")[2]
    keys = {line.split("=")[0].strip() for line in shown.splitlines() if line and line[0].isalpha()}
    assert keys <= set(config.Environment.model_fields)
    assert set(config.Environment.model_fields) - keys <= {"settle_s", "variables", "parameters"}
