"""The runner plays workflows as GitHub does, and each rule that matters is shown to be looked at by a mutant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from generating import ROOT
from workflows import nodejs
from workflows.conftest import missing
from workflows.github import matrix
from workflows.github.commands import Listener, Masks, assignments
from workflows.github.errors import WorkflowError
from workflows.github.event import Event
from workflows.github.expressions import Expressions
from workflows.github.process import LADDER
from workflows.github.repository import Repository
from workflows.github.tokens import claims, granted
from workflows.playing import Check, Player, forget, mutant


@pytest.fixture(scope="module")
def expressions() -> Iterator[Expressions]:
    """Return GitHub's own parser and expressions."""
    try:
        made = Expressions(ROOT / "build")
    except nodejs.NotInstalledError as reason:
        missing(str(reason))
    with made:
        yield made


@pytest.fixture
def player(expressions: Expressions, tmp_path: Path) -> Player:
    """Return what plays small workflow files."""
    return Player(tmp_path, expressions)


# Jobs


def test_a_job_after_a_failed_one_is_skipped(player: Player) -> None:
    """A failed need skips the job, and the jobs after that; status functions see the failure from afar."""
    record = player.play("""
  fails: { runs-on: x, steps: [ { run: exit 3 } ] }
  after: { runs-on: x, needs: fails, steps: [ { run: echo never } ] }
  if-failed: { runs-on: x, needs: after, if: failure(), steps: [ { run: "echo ${{ needs.after.result }}" } ] }
  if-well: { runs-on: x, needs: after, if: success(), steps: [ { run: echo never } ] }
  always: { runs-on: x, needs: [fails, after], if: always(), steps: [ { run: "echo ${{ join(needs.*.result) }}" } ] }
""")
    assert record.results == {
        "fails": "failure", "after": "skipped", "if-failed": "success", "if-well": "skipped", "always": "success",
    }  # fmt: skip
    assert record.job("if-failed").text == "skipped"
    assert record.job("always").text == "failure,skipped"
    assert record.result == "failure"


def test_a_job_after_a_skipped_one_is_skipped(player: Player) -> None:
    """A condition that is false skips what comes after it as well, unless that says `always()`."""
    record = player.play("""
  not-yet: { runs-on: x, if: vars.ROLE != '', steps: [ { run: echo never } ] }
  after: { runs-on: x, needs: not-yet, steps: [ { run: echo never } ] }
""")
    assert record.results == {"not-yet": "skipped", "after": "skipped"}
    assert record.result == "skipped"


def test_outputs_reach_the_jobs_that_need_them(player: Player) -> None:
    """An output of several lines arrives whole; one that holds a secret does not arrive, with a warning."""
    record = player.play(
        """
  one:
    runs-on: x
    outputs: { lines: "${{ steps.s.outputs.lines }}", leak: "${{ steps.s.outputs.leak }}" }
    steps:
      - id: s
        run: |
          { echo "lines<<END"; echo one; echo two=2; echo END; } >> "$GITHUB_OUTPUT"
          echo "leak=a-hush-b" >> "$GITHUB_OUTPUT"
  two:
    runs-on: x
    needs: one
    steps: [ { env: { L: "${{ needs.one.outputs.lines }}" }, run: 'echo "$L"; echo "[${{ needs.one.outputs.leak }}]"' } ]
""",
        secrets={"S": "hush"},
    )
    assert record.job("two").steps[0].output == ["one", "two=2", "[]"]
    assert [note.message for note in record.job("one").annotations] == [
        "Skip output 'leak' since it may contain secret."
    ]


def test_a_matrix_is_played_row_by_row(player: Player) -> None:
    """Rows are made, left out and added to as GitHub does; the worst result counts for what needs the job."""
    record = player.play("""
  grid:
    runs-on: x
    strategy:
      matrix: { os: [a, b], n: [1, 2], exclude: [ { os: a, n: 2 } ], include: [ { os: b, n: 2, extra: e }, { os: c } ] }
    steps: [ { run: "echo ${{ matrix.os }}${{ matrix.n }}${{ matrix.extra }}; test ${{ matrix.os }} != b" } ]
  after: { runs-on: x, needs: grid, steps: [ { run: echo never } ] }
""")
    assert [job.steps[0].output[0] for job in record.jobs[:4]] == ["a1", "b1", "b2e", "c"]
    assert record.results == {"grid": "failure", "after": "skipped"}


def test_an_included_value_does_not_hide_a_row(player: Player) -> None:
    """What one `include` added may be overwritten by the next; the matrix's own values may not."""
    del player
    found = matrix.rows(
        {"fruit": ["apple", "pear"], "include": [{"color": "green"}, {"color": "pink"}, {"fruit": "fig"}]}
    )
    assert found == [
        {"fruit": "apple", "color": "pink"}, {"fruit": "pear", "color": "pink"}, {"fruit": "fig"},
    ]  # fmt: skip


# Steps


def test_steps_after_a_failed_one(player: Player) -> None:
    """They are skipped unless they say otherwise, and the job fails."""
    record = player.play("""
  a:
    runs-on: x
    steps:
      - { id: bad, run: exit 3 }
      - { id: next, run: echo never }
      - { id: failed, if: failure(), run: echo failed }
      - { id: always, if: always(), run: "echo ${{ job.status }} ${{ steps.bad.outcome }}" }
      - { id: cancelled, if: cancelled(), run: echo never }
""")
    job = record.job("a")
    assert [step.outcome for step in job.steps] == ["failure", "skipped", "success", "success", "skipped"]
    assert job.step("always").output == ["failure failure"]
    assert job.result == "failure"
    assert job.annotations[0].message == "Process completed with exit code 3."


def test_a_step_that_may_fail(player: Player) -> None:
    """With `continue-on-error` the outcome is a failure and the conclusion is not; the job goes on."""
    record = player.play("""
  a:
    runs-on: x
    steps:
      - { id: bad, continue-on-error: true, run: exit 1 }
      - { id: says, run: "echo ${{ steps.bad.outcome }} ${{ steps.bad.conclusion }}" }
""")
    assert record.result == "success"
    assert record.job("a").step("says").output == ["failure success"]


def test_the_environment_of_a_step(player: Player) -> None:
    """The nearest `env` wins, GITHUB_ENV beats the job's, the step's own beats both; PATH grows; nothing leaks."""
    record = player.play(
        """
  a:
    runs-on: x
    env: { B: job, C: job }
    steps:
      - run: |
          echo "C=exported" >> "$GITHUB_ENV"; echo "D=exported" >> "$GITHUB_ENV"; echo "CI=no" >> "$GITHUB_ENV"
          mkdir bin; printf 'echo from the tool' > bin/tool; chmod +x bin/tool; echo "$PWD/bin" >> "$GITHUB_PATH"
      - { id: says, env: { D: "own-${{ env.D }}" }, run: 'echo "$A $B $C $D ${{ env.D }} ${{ env.V }} $CI"; tool' }
      - { id: leaks, run: 'echo "[$HOME_OF_TESTS$PYTHONPATH]"; test "$HOME" != ~root' }
""",
        top='on: push\nenv: { A: workflow, B: workflow, V: "${{ vars.V }}" }',
        variables={"V": "variable"},
    )
    assert record.job("a").step("says").output == [
        "workflow job exported own-exported own-exported variable true",
        "from the tool",
    ]
    assert record.job("a").step("leaks").output[0] == "[]"


def test_shells(player: Player) -> None:
    """Without `shell` a pipe's failure is lost; `bash` finds it; `defaults` are the workflow's, then the job's."""
    record = player.play(
        """
  a:
    runs-on: x
    defaults: { run: { working-directory: sub } }
    steps:
      - { working-directory: ., run: mkdir sub }
      - { id: where, run: basename "$PWD" }
      - { id: none, shell: "bash -e {0}", run: "false | true" }
      - { id: bash, continue-on-error: true, run: "false | true" }
      - { id: python, shell: python, run: "print(1 + 1)" }
""",
        top="on: push\ndefaults: { run: { shell: bash } }",
    )
    job = record.job("a")
    assert job.step("where").output == ["sub"]
    assert [job.step(name).outcome for name in ("none", "bash", "python")] == [
        "success",
        "failure",
        "success",
    ]
    bare = player.play("  a: { runs-on: x, steps: [ { run: 'false | true' } ] }")
    assert bare.result == "success"


def test_secrets_are_hidden(player: Player) -> None:
    """A secret, and what `add-mask` names, stand in no output, no annotation and no summary."""
    record = player.play(
        """
  a:
    runs-on: x
    steps:
      - run: |
          echo "the ${{ secrets.S }}"; echo "::add-mask::later"; echo later
          echo "::error title=the hush-hush::about hush-hush%0Aand later"
          echo "sum hush-hush" >> "$GITHUB_STEP_SUMMARY"
""",
        secrets={"S": "hush-hush"},
    )
    job = record.job("a")
    assert job.steps[0].output[0] == "the ***"
    assert job.steps[0].output[2] == "***"
    assert (job.annotations[0].title, job.annotations[0].message) == ("the ***", "about ***\nand ***")
    assert job.summary == "sum ***\n"


def test_stopped_commands_are_not_obeyed() -> None:
    """Between `stop-commands` and its word nothing in the output is a command."""
    listener = Listener(Masks())
    heard = [listener.hear(line) for line in ("::stop-commands::w", "::error::no", "::w::", "::notice::yes")]
    assert [note.message if note else None for note in heard] == [None, None, None, "yes"]


@pytest.mark.parametrize("text", ["no equals sign", "A<<END\nline\nno end"])
def test_files_that_github_refuses(text: str) -> None:
    """A line without a value, or a value without its end, is an error and not an empty output."""
    with pytest.raises(WorkflowError):
        assignments(text)


def test_a_value_may_look_like_the_other_form() -> None:
    """`<<` behind the equals sign is part of the value."""
    assert assignments("A=x<<y\nB<<E\n=\nE\n") == {"A": "x<<y", "B": "="}


def test_hash_files_reads_the_workspace(player: Player) -> None:
    """Nothing that matches gives an empty text, something a hash."""
    record = player.play("""
  a:
    runs-on: x
    steps:
      - { id: before, if: "hashFiles('made/*') == ''", run: mkdir made && touch made/file }
      - { id: after, if: "hashFiles('made/*') != ''", run: exit 0 }
""")
    assert [step.outcome for step in record.job("a").steps] == ["success", "success"]


def test_texts_with_quotes_survive(player: Player) -> None:
    """A text around an expression may hold several apostrophes, which the package's lexer loses."""
    record = player.play("""
  a: { runs-on: x, steps: [ { env: { T: "it''s 'a' ${{ github.ref_name }} 'b'" }, run: 'echo "$T"' } ] }
""")
    assert record.job("a").steps[0].output == ["it''s 'a' main 'b'"]


# Cancelling and timeouts

CANCELLED = """
  a:
    runs-on: x
    steps:
      - {{ id: runs, run: "{run}" }}
      - {{ id: next, run: echo never }}
      - {{ id: back, if: failure() || cancelled(), run: "echo ${{{{ job.status }}}}" }}
      - {{ id: failed, if: failure(), run: echo never }}
  b: {{ runs-on: x, needs: a, steps: [ {{ run: echo never }} ] }}
  c: {{ runs-on: x, needs: a, if: always(), steps: [ {{ run: "echo ${{{{ needs.a.result }}}}" }} ] }}
  d: {{ runs-on: x, needs: a, if: cancelled(), steps: [ {{ run: exit 0 }} ] }}
"""


def test_a_cancelled_run(player: Player) -> None:
    """The running step gets SIGINT; steps and jobs that ask for it still run, others do not."""
    record = player.cancelled(
        CANCELLED.format(run="trap 'echo int; exit 0' INT; echo ready; sleep 9 >&- 2>&- & wait")
    )
    job = record.job("a")
    assert job.step("runs").output[:2] == ["ready", "int"]
    assert [step.outcome for step in job.steps] == ["cancelled", "skipped", "success", "skipped"]
    assert job.step("back").output == ["cancelled"]
    assert record.results == {"a": "cancelled", "b": "skipped", "c": "success", "d": "success"}
    assert record.job("c").text == "cancelled"


def test_the_ladder() -> None:
    """A step has 7.5 seconds after SIGINT and 2.5 after SIGTERM."""
    assert [(number.name, wait_s) for number, wait_s in LADDER] == [("SIGINT", 7.5), ("SIGTERM", 2.5)]


def test_a_shell_hears_a_cancel_late(player: Player) -> None:
    """Signals reach the first process only: a shell that waits for a child is killed, the child lives on."""
    began = time.monotonic()
    record = player.cancelled(CANCELLED.format(run="echo ready; sleep 4; echo on"))
    assert record.job("a").step("runs").output == ["ready"]
    assert record.job("a").step("runs").outcome == "cancelled"
    assert time.monotonic() - began > 1.0


def test_exec_hears_a_cancel_at_once(player: Player) -> None:
    """A program that replaced the shell gets the signal itself."""
    program = "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(print('heard'))); "
    run = f"exec python3 -uc \\\"{program}print('ready'); time.sleep(30)\\\""
    record = player.cancelled(CANCELLED.format(run=run))
    assert record.job("a").step("runs").output == ["ready", "heard"]


def test_a_step_that_always_runs_is_not_cancelled(player: Player) -> None:
    """The running step's own condition is asked again, and so is its job's."""
    record = player.cancelled("""
  a: { runs-on: x, steps: [ { id: s, if: always(), run: "echo ready; sleep 0.5; echo done" }, { run: echo never } ] }
  b: { runs-on: x, if: always(), needs: a, steps: [ { run: echo still } ] }
""")
    assert record.job("a").step("s").output == ["ready", "done"]
    assert record.job("a").step("s").outcome == "success"
    assert record.results == {"a": "cancelled", "b": "success"}
    kept = player.cancelled(
        "  a: { runs-on: x, if: always(), steps: [ { run: 'echo ready; sleep 0.5; echo done' } ] }"
    )
    assert kept.results == {"a": "success"}


def test_timeouts(player: Player) -> None:
    """A job that takes too long is cancelled, a step that does has failed."""
    record = player.play("""
  job: { runs-on: x, timeout-minutes: 1, steps: [ { run: exec sleep 5 }, { id: c, if: cancelled(), run: exit 0 } ] }
  step: { runs-on: x, steps: [ { timeout-minutes: 1, run: exec sleep 5 }, { id: f, if: failure(), run: exit 0 } ] }
""")
    assert record.results == {"job": "cancelled", "step": "failure"}
    assert record.job("job").step("c").outcome == record.job("step").step("f").outcome == "success"
    assert max(job.took_s for job in record.jobs) < 4
    assert "maximum execution time" in record.job("job").annotations[0].message


def test_orphans_end_with_the_job(player: Player) -> None:
    """What a step leaves running is ended when the job is, whatever session it is in."""
    left = player.folder / "left"
    script = f"setsid sh -c 'sleep 3; touch {left}' >/dev/null 2>&1 &"
    assert player.play(f'  a: {{ runs-on: x, steps: [ {{ run: "{script}" }} ] }}').result == "success"
    time.sleep(3.5)
    assert not left.exists()


# Environments, permissions, events


def test_an_environment_gives_its_own_values(player: Player) -> None:
    """A job sees its environment's variables and secrets and no other's; its `if` sees the repository's only."""
    environment = player.module("repository").Environment
    jobs = """
  plain: { runs-on: x, steps: [ { run: 'echo "${{ vars.V }} [${{ secrets.S }}]"' } ] }
  staging: { runs-on: x, environment: staging, steps: [ { run: 'echo "${{ vars.V }} ${{ vars.W }}"; test -n "${{ secrets.S }}"' } ] }
  asks: { runs-on: x, environment: staging, if: vars.W != '', steps: [ { run: echo never } ] }
  other: { runs-on: x, environment: { name: other }, steps: [ { run: 'echo "${{ vars.V }} [${{ vars.W }}]"' } ] }
"""
    repository = {"staging": environment({"V": "own", "W": "w"}, {"S": "hush"}, reviewers=("someone",))}
    record = player.play(jobs, variables={"V": "shared"}, environments=repository)
    assert record.job("plain").text == "shared []"
    assert record.job("staging").text == "own w"
    assert record.job("staging").reviewers == ("someone",)
    assert record.results["asks"] == "skipped"
    assert record.job("other").text == "shared []"


def test_an_environment_refuses_other_branches(player: Player) -> None:
    """A job of a branch that the environment's policy does not name fails before its first step."""
    environment = player.module("repository").Environment
    jobs = "  a: { runs-on: x, environment: production, steps: [ { run: echo never } ] }"
    files = {".github/workflows/w.yml": f"on: push\njobs:\n{jobs}"}
    repository = player.repository(files, environments={"production": environment(branches=("release",))})
    record = player.run(repository).execute()
    assert record.result == "failure"
    assert record.job("a").steps == []
    assert "not allowed to deploy" in record.job("a").annotations[0].message


def test_only_the_permission_gives_an_id_token(player: Player) -> None:
    """A job without `id-token: write` has nowhere to ask; with it, its claims name its environment."""
    ask = '[ { run: "echo ${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-none}" } ]'
    record = player.play(
        f"""
  none: {{ runs-on: x, steps: {ask} }}
  read: {{ runs-on: x, permissions: {{ contents: read }}, steps: {ask} }}
  write: {{ runs-on: x, environment: staging, permissions: {{ id-token: write }}, steps: {ask} }}
""",
        top="on: push\npermissions: {}",
    )
    assert [record.job(name).text for name in ("none", "read", "write")] == ["none", "none", "***"]
    assert record.job("write").permissions == {"id-token": "write"}
    [claims_asked] = player.tokens.allowed
    assert claims_asked["sub"] == "repo:octo-org@11/image-resizer@22:environment:staging"
    assert claims_asked["environment"] == "staging"


def test_claims_without_an_environment() -> None:
    """The subject ends with the ref, for a pull request with that word, and older repositories have no ids."""
    old = Repository(Path(), immutable_subject=False)

    def subject(repository: Repository, event: Event) -> str:
        github = event.context(repository, workflow="w", file="w.yml", sha="0", number=1)
        return claims(github, repository, "")["sub"]

    assert subject(Repository(Path()), Event()) == "repo:octo-org@11/image-resizer@22:ref:refs/heads/main"
    assert subject(old, Event("pull_request", "topic")) == "repo:octo-org/image-resizer:pull_request"


def test_permissions_of_a_fork() -> None:
    """A fork's pull request can read, and gets no ID token, whatever the file says."""
    fork = Event("pull_request", "topic", is_fork=True)
    assert granted({"contents": "write", "id-token": "write"}, fork) == {"contents": "read"}
    assert "id-token" not in granted("write-all", fork)
    assert granted("write-all", Event())["id-token"] == "write"
    assert granted({}, Event()) == {}
    assert granted(None, Event()) == {"contents": "read", "packages": "read"}


def test_a_fork_gets_neither_secrets_nor_variables(player: Player) -> None:
    """What the repository keeps stays empty in a run of a fork's pull request."""
    jobs = """
  a:
    runs-on: x
    steps:
      - run: echo "[${{ secrets.S }}${{ vars.V }}] ${{ github.event.pull_request.head.repo.fork }} $GITHUB_REF"
"""
    files = {".github/workflows/w.yml": f"on: pull_request\njobs:\n{jobs}"}
    repository = player.repository(files, secrets={"S": "hush"}, variables={"V": "v"})
    event = {"name": "pull_request", "is_fork": True}
    assert player.run(repository, event).execute().job("a").text == "[] true refs/pull/1/merge"


DISPATCH = """on:
  workflow_dispatch:
    inputs:
      where: { type: choice, options: [staging, production], default: production }
      why: { required: true }
      dry: { type: boolean, default: true }
"""


def test_inputs_of_a_button(player: Player) -> None:
    """Defaults and types are the file's."""
    jobs = "  a: { runs-on: x, steps: [ { if: inputs.dry, run: 'echo ${{ inputs.where }} ${{ inputs.why }}' } ] }"
    event = {"name": "workflow_dispatch", "inputs": {"why": "so"}}
    assert player.play(jobs, top=DISPATCH, event=event).job("a").text == "production so"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"name": "workflow_dispatch"}, "`why` is missing"),
        ({"name": "workflow_dispatch", "inputs": {"why": "x", "where": "moon"}}, "none of its options"),
        ({"name": "workflow_dispatch", "inputs": {"why": "x", "who": "me"}}, "unexpected inputs: who"),
        ({"name": "push"}, "does not listen to `push`"),
    ],
)
def test_what_a_button_refuses(event: dict[str, object], says: str, player: Player) -> None:
    """GitHub starts no run with wrong inputs, and neither does the runner."""
    with pytest.raises(WorkflowError, match=says):
        player.play("  a: { runs-on: x, steps: [ { run: exit 0 } ] }", top=DISPATCH, event=event)


# Actions

LOCAL = """
name: set up
description: a local action
inputs: { what: { default: nothing }, must: { required: true } }
outputs: { said: { value: "${{ steps.s.outputs.said }}" } }
runs:
  using: composite
  steps:
    - id: s
      shell: bash
      env: { WHAT: "${{ inputs.what }}" }
      run: |
        echo "said=$WHAT in ${GITHUB_ACTION_PATH##*/}" >> "$GITHUB_OUTPUT"; echo "T=t" >> "$GITHUB_ENV"
        echo "/tools" >> "$GITHUB_PATH"
    - { if: inputs.what == 'fail', shell: bash, run: exit 3 }
    - { id: more, shell: bash, run: "echo more $OUTER" }
    - { if: failure(), shell: bash, run: echo it failed }
"""
CHECKOUT = "{ uses: actions/checkout@v1, with: { persist-credentials: false } }"
USING = """
  a:
    runs-on: x
    steps:
      - CHECKOUT
      - { id: local, uses: ./setup, env: { OUTER: outer }, with: { what: WHAT, must: x } }
      - { id: after, run: 'echo "${{ steps.local.outputs.said }} $T ${PATH%%:*}"' }
"""


def test_a_local_action(player: Player) -> None:
    """Inputs, defaults, outputs, exported variables and PATH go in and out as with a script."""
    files = {"setup/action.yml": LOCAL}
    record = player.play(USING.replace("CHECKOUT", CHECKOUT).replace("what: WHAT, ", ""), files=files)
    assert record.job("a").step("after").output == ["nothing in setup t /tools"]
    assert record.job("a").step("local").output == ["more outer"]


def test_an_action_of_the_commit_needs_no_checkout(player: Player) -> None:
    """`$/FOLDER` is the run's own commit's, also before a checkout."""
    jobs = USING.replace("CHECKOUT", "{ run: exit 0 }").replace("./setup", "$/setup").replace("WHAT", "it")
    record = player.play(jobs, files={"setup/action.yml": LOCAL})
    assert record.job("a").step("after").output == ["it in setup t /tools"]


def test_a_local_action_that_fails(player: Player) -> None:
    """Its next steps are skipped unless they ask for it, and the step that uses it fails."""
    files = {"setup/action.yml": LOCAL}
    record = player.play(USING.replace("CHECKOUT", CHECKOUT).replace("WHAT", "fail"), files=files)
    local = record.job("a").step("local")
    assert [step.outcome for step in local.steps] == ["success", "failure", "skipped", "success"]
    assert local.outcome == "failure"
    assert record.job("a").step("after").outcome == "skipped"


def test_a_local_action_may_fail(player: Player) -> None:
    """With `continue-on-error` at the step that uses it, the job goes on."""
    jobs = (
        USING.replace("CHECKOUT", CHECKOUT)
        .replace("WHAT", "fail")
        .replace("id: local", "id: local, continue-on-error: true")
    )
    record = player.play(jobs, files={"setup/action.yml": LOCAL})
    assert record.job("a").step("after").outcome == "success"
    assert record.result == "success"


def test_a_local_action_needs_a_checkout(player: Player) -> None:
    """Without one the file is not there, as on GitHub."""
    record = player.play(USING.replace("- CHECKOUT", "- { run: exit 0 }"), files={"setup/action.yml": LOCAL})
    assert "Did you forget to run actions/checkout" in record.job("a").annotations[0].message


@pytest.mark.parametrize(
    ("action", "uses"),
    [
        (LOCAL.replace("shell: bash, run: exit 3", "run: exit 3"), "./setup, with: { must: x }"),
        (LOCAL, "./setup"),
        (LOCAL, "./setup, with: { must: x, other: y }"),
        (LOCAL, "somebody/unknown@v1"),
        (LOCAL, "actions/upload-artifact@v7, with: { nmae: x, path: y }"),
    ],
    ids=["script without a shell", "required input", "unknown input", "unknown action", "misspelt input"],
)
def test_what_ends_the_run(action: str, uses: str, player: Player) -> None:
    """What cannot be played, or would only warn, is an error and never passed over."""
    jobs = f"  a: {{ runs-on: x, steps: [ {CHECKOUT}, {{ uses: {uses} }} ] }}"
    with pytest.raises(WorkflowError):
        player.play(jobs, files={"setup/action.yml": action})


def test_unknown_keys_end_the_run(player: Player) -> None:
    """A job in a container is not played, so it is not passed over either."""
    with pytest.raises(WorkflowError, match="container is not played"):
        player.play("  a: { runs-on: x, container: image, steps: [ { run: exit 0 } ] }")


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{ uses: actions/checkout@v1 }", "would leave the token"),
        ("{ uses: actions/download-artifact@v8, with: { name: none } }", "Artifact not found for name: none"),
        ("{ uses: actions/upload-artifact@v7, with: { path: none, if-no-files-found: error } }", "No files were found"),
        ("{ uses: actions/upload-artifact@v7, with: { path: none, if-no-files-found: silent } }", "Unrecognized if-no-files-found input"),
        ("{ uses: github/codeql-action/upload-sarif@v4, with: { sarif_file: x } }", "security-events: write"),
        ("{ uses: aws-actions/configure-aws-credentials@v6, with: { aws-region: eu-west-1 } }", "Credentials could not be loaded"),
        (
            "{ uses: aws-actions/configure-aws-credentials@v6, with: { aws-region: eu-west-1, role-to-assume: arn } }",
            "ACTIONS_ID_TOKEN_REQUEST_URL",
        ),
        ("{ uses: actions/attest@v4, with: { subject-name: x, subject-digest: sha256 } }", "id-token: write"),
    ],
)  # fmt: skip
def test_actions_refuse_as_the_real_ones(step: str, says: str, player: Player) -> None:
    """Each stand-in fails where the action it stands for would."""
    record = player.play(f"  a: {{ runs-on: x, steps: [ {step} ] }}")
    assert record.result == "failure"
    assert says in record.job("a").annotations[0].message


@pytest.mark.parametrize(
    ("given", "warnings"), [("", 1), (", if-no-files-found: warn", 1), (", if-no-files-found: ignore", 0)]
)
def test_nothing_to_keep_warns_unless_told_otherwise(given: str, warnings: int, player: Player) -> None:
    """An upload that finds no file is green; it says so in a warning, or nothing where it is told to ignore that."""
    step = f"{{ uses: actions/upload-artifact@v7, with: {{ path: none{given} }} }}"
    record = player.play(f"  a: {{ runs-on: x, steps: [ {step} ] }}")
    assert record.result == "success"
    assert len(record.job("a").annotations) == warnings


def test_a_private_repository_is_not_readable_without_the_right(player: Player) -> None:
    """Without `contents: read` the checkout of a private repository fails."""
    record = player.play(f"  a: {{ runs-on: x, permissions: {{}}, steps: [ {CHECKOUT} ] }}")
    assert record.result == "failure"


def test_artifacts_keep_the_layout(player: Player) -> None:
    """Files lie below the least common folder, hidden ones and permissions are lost, a name is used once."""
    record = player.play("""
  one:
    runs-on: x
    steps:
      - run: mkdir -p build/deep && touch build/image.tar build/scan.json build/deep/f build/.hidden && chmod +x build/image.tar
      - { uses: actions/upload-artifact@v7, with: { name: two, path: "build/image.*\\nbuild/scan.json" } }
      - { uses: actions/upload-artifact@v7, with: { name: folder, path: build/ } }
      - { uses: actions/upload-artifact@v7, with: { name: file, path: build/scan.json } }
      - { id: again, uses: actions/upload-artifact@v7, with: { name: file, path: build/scan.json } }
  two:
    runs-on: x
    if: always()
    needs: one
    steps:
      - run: rm -r build
      - { uses: actions/download-artifact@v8, with: { name: two, path: back } }
      - { id: all, uses: actions/download-artifact@v8, with: { path: all } }
      - { id: says, run: "find back all -type f | sort | tr '\\\\n' ' '; test ! -x back/image.tar" }
""")
    assert record.job("one").step("again").outcome == "failure"
    assert record.job("two").step("says").text.split() == [
        "all/file/scan.json", "all/folder/deep/f", "all/folder/image.tar", "all/folder/scan.json",
        "all/two/image.tar", "all/two/scan.json", "back/image.tar", "back/scan.json",
    ]  # fmt: skip
    assert record.results["two"] == "success"


def test_what_is_left_out_counts_as_done(player: Player) -> None:
    """An action or a script that a world leaves out is not run; the record says so, and why."""
    jobs = """
  a:
    runs-on: x
    steps:
      - run: make everything
      - uses: $/checks
      - run: echo "${{ github.event_name }}"
"""
    repository = player.repository({".github/workflows/w.yml": f"on: push\njobs:\n{jobs}"})
    left_out = {"make everything": "takes long", "$/checks": "played before"}
    record = player.run(repository, left_out=left_out).execute()
    assert [step.left_out for step in record.job("a").steps] == ["takes long", "played before", ""]
    assert (record.result, record.job("a").text.strip()) == ("success", "push")


# Mutants of the runner

MUTANTS: dict[str, tuple[str, str, str, Check]] = {
    "a failed need does not skip": (
        "run", 'if "failure" in results:\n            return "failure"', 'if "failure" in results:\n            return "success"',
        test_a_job_after_a_failed_one_is_skipped,
    ),
    "a skipped need does not skip": (
        "run", 'return "success" if results <= {"success"} else "skipped"', 'return "success"',
        test_a_job_after_a_skipped_one_is_skipped,
    ),
    "only direct needs count": (
        "run", "return needs.union(*(self._before(need) for need in needs))", "return needs",
        test_a_job_after_a_failed_one_is_skipped,
    ),
    "outputs may hold secrets": ("job", "if state.masks.touch(value):", "if False:", test_outputs_reach_the_jobs_that_need_them),
    "the last row of a matrix counts": (
        "run", "result = worst([record.result for record in records])", "result = records[-1].result",
        test_a_matrix_is_played_row_by_row,
    ),
    "a failed step does not fail the job": ("state", 'self.status = "failure"', "pass", test_steps_after_a_failed_one),
    "continue-on-error is not looked at": (
        "steps", 'if record.outcome == "failure" and may_fail else', "if False else", test_a_step_that_may_fail,
    ),
    "GITHUB_ENV is weaker than the job": (
        "steps", "else {**scope.env, **state.exported}", "else {**state.exported, **scope.env}",
        test_the_environment_of_a_step,
    ),
    "a job may overwrite what the runner sets": (
        "state", "            **env,\n            **self.inherited,\n", "            **self.inherited,\n            **env,\n",
        test_the_environment_of_a_step,
    ),
    "every shell looks at pipes": ("process", 'DEFAULT_SHELL = "bash -e {0}"', 'DEFAULT_SHELL = "bash -eo pipefail {0}"', test_shells),
    "secrets are shown": ("job", "        state.masks.add(value)\n", "        pass\n", test_secrets_are_hidden),
    "add-mask is not obeyed": ("commands", 'if name == "add-mask":', "if False:", test_secrets_are_hidden),
    "a cancel leaves the step alone": (
        "state", "if running and not running[1]():", "if False:", test_timeouts,
    ),
    "a cancelled job has failed": ("state", 'self.status = "cancelled"\n            running', 'self.status = "failure"\n            running', test_a_cancelled_run),
    "a cancelled step that ends well has succeeded": (
        "steps", "if script.signals or (", "if status and (", test_a_cancelled_run,
    ),
    "jobs cannot ask whether the run is cancelled": (
        "run", 'if self._is_cancelled:\n            return "cancelled"', 'if False:\n            return "cancelled"',
        test_a_cancelled_run,
    ),
    "a cancel ends steps that always run": (
        "state", "if running and not running[1]():", "if running:", test_a_step_that_always_runs_is_not_cancelled,
    ),
    "a signal reaches the whole group": (
        "process", "process.send_signal(number)", "os.killpg(process.pid, number)", test_a_shell_hears_a_cancel_late,
    ),
    "orphans live on": ("job", "            end_orphans(state.inherited[TRACKING])\n", "", test_orphans_end_with_the_job),
    "every branch may use an environment": (
        "repository", "return self.branches is None or", "return True or", test_an_environment_refuses_other_branches,
    ),
    "every job has an ID token": (
        "job", 'if state.record.permissions.get("id-token") != "write":', "if False:",
        test_only_the_permission_gives_an_id_token,
    ),
    "a fork gets secrets": ("job", "{} if given.event.is_fork else dict(", "dict(", test_a_fork_gets_neither_secrets_nor_variables),
    "a job sees every environment": (
        "repository", "(self.environments[environment].variables if environment else {})",
        "{k: v for e in self.environments.values() for k, v in e.variables.items()}",
        test_an_environment_gives_its_own_values,
    ),
    "a checkout keeps the token": (
        "standins", 'if call.inputs.flag("persist-credentials"):', "if False:",
        lambda player: test_actions_refuse_as_the_real_ones("{ uses: actions/checkout@v1 }", "would leave the token", player),
    ),
    "an unknown action passes": (
        "steps", 'raise WorkflowError(f"no stand-in for `{uses}`")', 'return "success"',
        lambda player: test_what_ends_the_run(LOCAL, "somebody/unknown@v1", player),
    ),
    "a local action's failure is always the job's": (
        "steps", 'if record.conclusion == "failure" and not self.scope.is_composite:', 'if record.conclusion == "failure":',
        test_a_local_action_may_fail,
    ),
    "a local action goes on after a failure": (
        "state", "scope.status if scope.is_composite and", "self.status if", test_a_local_action_that_fails,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_runner_is_found(name: str, expressions: Expressions, tmp_path: Path) -> None:
    """The test of a rule fails when the runner breaks the rule."""
    module, old, new, check = MUTANTS[name]
    package = mutant(tmp_path, module, old, new)
    player = Player(tmp_path, expressions, package)
    try:
        with pytest.raises((Exception, pytest.fail.Exception)) as found:
            check(player)
        assert not isinstance(
            found.value, ImportError | SyntaxError | AttributeError | NameError | TypeError
        ), found.value
    finally:
        forget(package, tmp_path)
