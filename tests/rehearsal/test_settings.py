"""What a rehearsal changes in its copy of deploy.toml."""

import tomllib

import pytest

from deployer.config import Environment
from deployer.errors import DeployerError
from generating import GENERATED
from rehearsal.settings import COMMON, adapted, described

ROOT = GENERATED
TEXT = """[function]
settle_s = 7

[environments.staging]
steps = []

[environments.production] # the real one
steps = [
  { weight_pct = 10, bake_s = 300 },
]
max_pause_s = 50  # nobody decides
alarms = [
  "mine",
]  # of this account

[scan]
settle_s = 8
"""


def test_values_are_replaced_or_added_in_their_table_only() -> None:
    """A value that is there is replaced, one that is not is added, and other tables stay as they are."""
    before = tomllib.loads(TEXT)
    after = tomllib.loads(
        adapted(TEXT, "production", {"max_pause_s": 60, "settle_s": 60, "on_slow": "off", "alarms": []})
    )
    expected = before["environments"]["production"]
    expected |= {"max_pause_s": 60, "settle_s": 60, "on_slow": "off", "alarms": []}
    assert after == before


def test_the_last_table_can_be_adapted_too() -> None:
    """A table at the end of the file is adapted like any other, and again with another value."""
    text = "[environments.production]\nsteps = []"
    for seconds in (60, 90):
        text = adapted(text + "\n", "production", {"settle_s": seconds})
        assert tomllib.loads(text)["environments"]["production"] == {"steps": [], "settle_s": seconds}


@pytest.mark.parametrize(
    "text",
    ["[environments]\nproduction = { steps = [] }\n", "[environments.staging]\nsteps = []\n"],
    ids=["inline table", "no such table"],
)
def test_another_form_is_one_clear_error(text: str) -> None:
    """A file that is not written with one table for the environment is refused, not half changed."""
    with pytest.raises(DeployerError, match="cannot adapt"):
        adapted(text, "production", {"settle_s": 60})


def test_every_changed_value_is_a_setting_that_is_allowed() -> None:
    """What all acts change are settings deploy.toml knows, and steps and limits are not among them."""
    Environment.model_validate(dict(COMMON))
    kept = {"steps", "final_bake_s", "alpha", "error_floor_pct", "max_error_pct"}
    assert not kept & set(COMMON)
    assert "settle_s = 60" in described(COMMON)
