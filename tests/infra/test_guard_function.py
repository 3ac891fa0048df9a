"""The guard's own text out of infra/service.yaml: when it gives the traffic back, and when it must not."""

from __future__ import annotations

import ast
import json
import sys
from types import ModuleType

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.canary import marker as markers
from deployer.canary import moves
from deployer.judge.counts import Counts
from deployer.model import ARMED_S, AliasState, Cause, Marker, RolloutState, Routing
from deployer.rollout.guard import Guard
from engine.around import FakeAlarms
from infra.guard_source import FUNCTION, NOW, FakeLambda, error, load, source

ALARM = f"{FUNCTION}-canary-42"
RUN = "mine [lc1 id=7.1 from=41 to=42 step=1/3 at=1763712000 w=10+50+95 st=run]"


def message(alarm: str = ALARM, state: str = "ALARM", description: str | None = None) -> str:
    """Return what CloudWatch publishes when an alarm changes its state."""
    told = {"AlarmName": alarm, "NewStateValue": state, "OldStateValue": "OK"}
    return json.dumps(told | ({} if description is None else {"AlarmDescription": description}))


def deliver(guard: ModuleType, text: str) -> None:
    """Hand the guard one message, as SNS does."""
    guard.handler({"Records": [{"Sns": {"Message": text}}]}, None)


@pytest.fixture
def fake() -> FakeLambda:
    """Return an alias in the first step of a rollout of version 42."""
    fake = FakeLambda()
    fake.given_alias(RUN, weights={"42": 0.1})
    return fake


def test_guard_needs_only_what_the_runtime_brings() -> None:
    """Nothing is imported but the standard library and botocore."""
    tree = ast.parse(source())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"botocore"}


def test_guard_gives_the_traffic_back(fake: FakeLambda, capsys: pytest.CaptureFixture[str]) -> None:
    """The canary's alarm clears the weights and leaves the reason in the marker, by one read and one write."""
    deliver(load(fake), message())
    assert fake.reads == 1  # the lock is that of the reading it was decided on
    assert fake.updates == [
        {
            "FunctionVersion": "41",
            "RoutingConfig": {"AdditionalVersionWeights": {}},
            "Description": "mine [lc1 id=7.1 from=41 to=42 step=1/3 at=1763712000 w=10+50+95 st=rolled-back "
            f"why=guard: {ALARM}]",
        }
    ]
    assert capsys.readouterr().out == f"rolled back to version 41: {ALARM}\n"


def test_guard_undoes_a_promotion_that_is_still_watched(fake: FakeLambda) -> None:
    """In the state `bake` of an earlier template the canary has all traffic, and loses it all."""
    fake.given_alias(RUN.replace("st=run", "st=bake"), stable="42")
    deliver(load(fake), message())
    assert fake.alias["FunctionVersion"] == "41"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (message(state="OK"), "no alarm fired"),
        (message(state="INSUFFICIENT_DATA"), "no alarm fired"),
        ('{"kind": "step", "rollout": "7.1"}', "no alarm fired"),
        ("hello, is this thing on?", "no alarm fired"),
        ("[1, 2]", "no alarm fired"),
        ("null", "no alarm fired"),
        (message(f"{FUNCTION}-errors"), "is no canary's alarm"),
        (message(f"other-{ALARM}"), "is no canary's alarm"),
        (message(f"{ALARM}0x"), "is no canary's alarm"),
        (message(f"{FUNCTION}-canary-43"), "version 43 is not being rolled out"),
    ],
)
def test_guard_leaves_everything_else_alone(
    fake: FakeLambda, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """Other messages, other alarms and other versions change nothing, and the log says so."""
    deliver(load(fake), text)
    assert fake.updates == []
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "description",
    [
        RUN.replace("st=run", "st=rolled-back why=errors"),
        RUN.replace("to=42", "to=43"),
    ],
)
def test_guard_needs_an_active_rollout_of_that_version(fake: FakeLambda, description: str) -> None:
    """Where the marker can be read and is of another or an ended rollout, nothing is written."""
    fake.given_alias(description, weights={"42": 0.1})
    deliver(load(fake), message())
    assert fake.updates == []


ARMED = (
    "Version 42 failed after its release, armed until {until}: the guard gives the traffic back to version 41"
)
DONE_AT = 1_763_712_000 + 30
DONE = RUN.replace("w=", "t=30 w=").replace("st=run", "st=done")


@pytest.mark.parametrize(
    ("now", "until", "is_back"),
    [
        (DONE_AT + 3599, None, True),
        (DONE_AT + 3600, None, False),
        (DONE_AT + 86_399, DONE_AT + 86_400, True),
        (DONE_AT + 86_400, DONE_AT + 86_400, False),
    ],
)
def test_guard_takes_a_release_back_while_it_is_armed(
    fake: FakeLambda, monkeypatch: pytest.MonkeyPatch, now: int, until: int | None, is_back: bool
) -> None:
    """After a release the alarm rolls back until its time is over, and says that the release was done."""
    module = load(fake)
    monkeypatch.setattr(module.time, "time", lambda: now)
    fake.given_alias(DONE, stable="42")
    deliver(module, message(description=ARMED.format(until=until) if until else "the canary's own"))
    assert bool(fake.updates) is is_back
    if is_back:
        assert fake.alias["FunctionVersion"] == "41"
        text, marker = markers.parse(fake.alias["Description"])
        assert marker is not None
        assert (text, marker.state) == ("mine", RolloutState.ROLLED_BACK)
        assert marker.why == f"guard: {ALARM}, after the release was done"


@pytest.mark.parametrize(("seconds", "is_back"), [(3599, True), (3600, False)])
def test_guard_counts_from_the_last_step_where_done_has_no_time(
    fake: FakeLambda, monkeypatch: pytest.MonkeyPatch, seconds: int, is_back: bool
) -> None:
    """A release that was done as soon as its last step began is armed for an hour from then on."""
    module = load(fake)
    steps = DONE.replace("t=30 ", "").replace("step=1/3 at=1763712000", "step=3/3 at=1763712000+300+300")
    monkeypatch.setattr(module.time, "time", lambda: 1_763_712_600 + seconds)
    fake.given_alias(steps, stable="42")
    deliver(module, message())
    assert bool(fake.updates) is is_back


def test_guard_leaves_a_release_that_lost_its_traffic(fake: FakeLambda) -> None:
    """A release whose traffic somebody shared since is not what the alarm was armed for."""
    fake.given_alias(DONE, stable="41", weights={"42": 0.5})
    deliver(load(fake), message(description=ARMED.format(until=9_999_999_999)))
    assert fake.updates == []


def ended(**about: object) -> dict[str, object]:
    """Return the event of the schedule, at the latest end of the rollout in RUN."""
    return {"rollout": "7.1", "version": "42", "until": int(NOW), **about}


@pytest.mark.parametrize("state", ["run", "pause"])
def test_guard_ends_what_nobody_drove(
    fake: FakeLambda, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the latest end of a rollout that still shares its traffic, all of it goes back, and its alarm goes."""
    fake.given_alias(RUN.replace("st=run", f"st={state}"), weights={"42": 0.1})
    load(fake).handler(ended(), None)
    assert fake.alias["FunctionVersion"] == "41"
    assert fake.alias["Description"].endswith("st=rolled-back why=guard: nobody drove it to its end]")
    assert fake.deleted == [ALARM]
    told = capsys.readouterr().out
    assert told == "rolled back to version 41: nobody drove it to its end; its alarm is deleted\n"


@pytest.mark.parametrize(
    ("description", "stable", "weights"),
    [
        (DONE, "42", None),
        (RUN.replace("st=run", "st=rolled-back"), "41", None),
        (RUN.replace("to=42", "to=43"), "41", {"43": 0.1}),
    ],
    ids=["done", "rolled back", "another version"],
)
def test_guard_only_disarms_what_has_ended(
    fake: FakeLambda, description: str, stable: str, weights: dict[str, float] | None
) -> None:
    """A rollout that came to its end keeps its traffic, and so does another one; the alarm has had its time."""
    fake.given_alias(description, stable=stable, weights=weights)
    load(fake).handler(ended(), None)
    assert fake.updates == []
    assert fake.deleted == [ALARM]


@pytest.mark.parametrize(("left_s", "deleted"), [(1, []), (0, [ALARM])])
def test_guard_leaves_armed_what_is_done(fake: FakeLambda, left_s: int, deleted: list[str]) -> None:
    """Where nobody moved the schedule, a release that is done keeps its alarm for as long as was promised."""
    fake.given_alias(DONE, stable="42")
    guard = load(fake)
    done_at = guard.done_at(guard.parse(DONE)[1])
    guard.handler(ended(armed_s=int(NOW) - done_at + left_s), None)
    assert (fake.updates, fake.deleted) == ([], deleted)


def test_guard_leaves_the_alarm_of_a_newer_rollout(fake: FakeLambda) -> None:
    """An event that comes late, or twice, takes nothing from the next rollout of the same version."""
    fake.given_alias(RUN.replace("id=7.1", "id=8.1"), weights={"42": 0.1})
    load(fake).handler(ended(), None)
    assert (fake.updates, fake.deleted) == ([], [])


def test_guard_does_nothing_too_early(fake: FakeLambda, capsys: pytest.CaptureFixture[str]) -> None:
    """An event that comes before its time changes nothing and deletes nothing."""
    fake.given_alias(RUN, weights={"42": 0.1})
    load(fake).handler(ended(until=int(NOW) + 1), None)
    assert (fake.updates, fake.deleted) == ([], [])
    assert "not over yet" in capsys.readouterr().out


def test_guard_ends_what_lost_its_marker(fake: FakeLambda) -> None:
    """Weights without a readable marker are cleared at the latest end as well."""
    fake.given_alias("mine", weights={"42": 0.1})
    load(fake).handler(ended(), None)
    assert fake.alias == {"FunctionVersion": "41", "Description": "mine"}


def test_guard_finds_the_marker_before_a_note(fake: FakeLambda) -> None:
    """A note typed behind the marker in the console changes nothing, and stays."""
    fake.given_alias(RUN + " ask Ann first", weights={"42": 0.1})
    deliver(load(fake), message())
    assert fake.alias["FunctionVersion"] == "41"
    text, marker = markers.parse(fake.alias["Description"])
    assert text == "mine ask Ann first"
    assert marker is not None
    assert marker.state is RolloutState.ROLLED_BACK


DAMAGED = {
    "": "",
    "mine": "mine",
    RUN.replace("step=1/3", "step=2/3"): "mine",
    RUN.replace("lc1", "lc2"): RUN.replace("lc1", "lc2"),
    RUN.removesuffix("]"): RUN.removesuffix("]"),
    RUN.replace("st=run", "st=nonsense"): "mine",
}


@pytest.mark.parametrize("description", DAMAGED)
def test_guard_acts_without_the_marker(fake: FakeLambda, description: str) -> None:
    """Where hands damaged the marker, the alarm's version loses its weight, and people's text stays."""
    fake.given_alias(description, weights={"42": 0.1})
    deliver(load(fake), message())
    assert fake.alias == {"FunctionVersion": "41", "Description": DAMAGED[description]}


@pytest.mark.parametrize("description", DAMAGED)
def test_guard_goes_back_to_what_the_alarm_names(fake: FakeLambda, description: str) -> None:
    """Without marker and weights the alarm's description names the version to go back to; else nothing is done."""
    alarms = FakeAlarms()
    Guard(alarms, FUNCTION, "arn:topic").arm("42", Counts(), stable="41")  # type: ignore[arg-type]
    fake.given_alias(description, stable="42")
    deliver(load(fake), message(description="put by somebody else"))
    assert fake.updates == []
    deliver(load(fake), message(description=alarms.put[ALARM]["AlarmDescription"]))
    assert fake.alias["FunctionVersion"] == "41"


@pytest.mark.parametrize(
    ("stable", "weights", "is_back"),
    [
        ("41", {"42": 0.0}, False),
        ("41", {"42": 1.0}, True),
        ("41", None, False),
        ("42", {"41": 0.0}, True),
        ("$LATEST", None, False),
    ],
)
def test_guard_after_hands_in_the_console(
    fake: FakeLambda, stable: str, weights: dict[str, float] | None, is_back: bool
) -> None:
    """Whatever weights somebody set, the guard takes the traffic of the alarm's version, if it has any."""
    fake.given_alias(RUN, stable=stable, weights=weights)
    deliver(load(fake), message())
    assert bool(fake.updates) is is_back
    if is_back:
        assert fake.alias["FunctionVersion"] == "41"


@pytest.mark.parametrize("length", [80, 81, *range(130, 190, 5), 178, 179, 181, 182])
def test_guard_leaves_the_marker_out_where_it_has_no_room(length: int) -> None:
    """People's own text stays whole; without room for the marker the traffic is given back without it."""
    description = "x" * length + " " + RUN.removeprefix("mine ")
    guards = as_the_guard(description, "41", "42")
    assert guards == as_our_own(description, "41", "42")
    assert guards is not None
    marker = RUN.removeprefix("mine ").replace("st=run", "st=rolled-back")
    assert ("[lc1" in guards[1]) is (length + 1 + len(marker) <= 256)


def test_guard_leaves_a_version_without_traffic_alone(fake: FakeLambda) -> None:
    """Where somebody moved the traffic elsewhere by hand, there is nothing to give back."""
    fake.given_alias(RUN, stable="43")
    deliver(load(fake), message())
    assert fake.updates == []


def test_guard_tries_again_after_a_conflict(fake: FakeLambda) -> None:
    """Whoever writes first, the alias is read again and the next step is rolled back as well."""
    step_2 = RUN.replace("step=1/3 at=1763712000", "step=2/3 at=1763712000+300")
    fake.before_update = [
        lambda f: f.given_alias(step_2, weights={"42": 0.5}),
        lambda f: f.given_alias(step_2.replace("st=run", "st=bake"), stable="42"),
    ]
    deliver(load(fake), message())
    assert len(fake.updates) == 1
    assert fake.alias["FunctionVersion"] == "41"
    assert "step=2/3" in fake.alias["Description"]


def test_guard_stops_when_somebody_else_rolled_back(fake: FakeLambda) -> None:
    """A conflict with the rollout's own rollback ends in that one, not in a second one."""
    done = RUN.replace("st=run", "st=rolled-back why=errors")
    fake.before_update = [lambda f: f.given_alias(done)]
    deliver(load(fake), message())
    assert fake.updates == []
    assert fake.alias["Description"] == done


def test_guard_does_not_give_up_quietly(fake: FakeLambda) -> None:
    """An alias that never keeps still is an error, so that Lambda delivers the message again."""
    fake.before_update = [lambda f: f.given_alias(RUN, weights={"42": 0.1})] * 20
    guard, waits = load(fake), []
    guard.time.sleep = waits.append
    with pytest.raises(RuntimeError, match="keeps moving"):
        deliver(guard, message())
    assert waits == pytest.approx([0.1 * attempt for attempt in range(20)])  # 19 s of the minute that it has


def test_guard_does_not_swallow_other_errors(fake: FakeLambda) -> None:
    """What is no conflict is raised, so that Lambda delivers the message again."""

    def refuse(_fake: FakeLambda) -> None:
        raise error("AccessDeniedException")

    fake.before_update = [refuse]
    with pytest.raises(ClientError, match="AccessDenied"):
        deliver(load(fake), message())


WORD = st.text("abcdef0123456789.", min_size=1, max_size=14)
MARKERS = st.builds(
    Marker,
    id=WORD,
    from_version=st.sampled_from(["41", "42", "43"]),
    to_version=st.sampled_from(["41", "42", "43"]),
    weights=st.lists(st.sampled_from([0.1, 5, 12.5, 50, 95]), max_size=8).map(tuple),
    starts=st.lists(st.integers(1, 2_000_000_000), min_size=1, max_size=8).map(lambda s: tuple(sorted(s))),
    pauses=st.integers(0, 3),
    cause=st.one_of(st.none(), st.sampled_from(Cause)),
    state=st.sampled_from(RolloutState),
    since_s=st.integers(0, 90_000),
    accepted_s=st.integers(0, 90_000),
    why=st.text(max_size=60),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=90)
GUARD = load(FakeLambda())


def as_our_own(description: str, stable: str, canary: str | None) -> tuple[str, str] | None:
    """Return (version, Description) of the rollback the deployer would write, None when it would not."""
    text, marker = markers.parse(description)
    if "42" not in (stable, canary):
        return None
    alias = AliasState(Routing(stable, canary, 10 if canary else 0), "r1", text, marker, description)
    if marker is None:
        return (
            None
            if stable == "42"
            else (stable, moves.rollback_write(alias, target=stable, reason="").description)
        )
    reason = f"guard: {ALARM}"
    if marker.state is RolloutState.DONE and stable == "42" and marker.at + ARMED_S > NOW:
        reason += ", after the release was done"
    elif not marker.is_active:
        return None
    if marker.to_version != "42":
        return None
    write = moves.rollback_write(alias, target=marker.from_version, reason=reason)
    return write.version, write.description


def as_the_guard(description: str, stable: str, canary: str | None) -> tuple[str, str] | None:
    """Return the same of what the guard would write."""
    weights = {"AdditionalVersionWeights": {canary: 0.1}} if canary else None
    live = {"FunctionVersion": stable, "Description": description, "RoutingConfig": weights}
    write = GUARD.rollback(live, "42", f"guard: {ALARM}")
    return write and (write["FunctionVersion"], write["Description"])


@settings(max_examples=600, deadline=None)
@given(
    text=TEXTS.filter(lambda text: len(text) <= markers.MAX_TEXT),
    marker=MARKERS,
    stable=st.sampled_from(["41", "42", "43"]),
    canary=st.sampled_from([None, "41", "42"]),
)
def test_guard_writes_what_the_deployer_would(
    text: str, marker: Marker, stable: str, canary: str | None
) -> None:
    """On every marker the deployer writes, the guard's rollback is the deployer's, letter by letter."""
    description = markers.render(text, marker)
    assert as_the_guard(description, stable, canary) == as_our_own(description, stable, canary)


PIECES = st.sampled_from(
    [
        "[lc1 ",
        "]",
        " ",
        "  ",
        "\n",
        "id=7.1",
        "from=41",
        "to=42",
        "to=43",
        "step=1/3",
        "step=2/3",
        "step=1/2/3",
        "step=x",
        "at=1763712000",
        "at=1763712000+60",
        "at=",
        "at=+5",
        "t=30",
        "t=x",
        "w=10+50",
        "w=a+b",
        "w=nan",
        "w=1e9",
        "p=2s",
        "p=s",
        "plan=9c1e",
        "st=run",
        "st=bake",
        "st=pause",
        "st=done",
        "st=nonsense",
        "why=a b",
        "mine",
        "=",
        "[",
        "lc1",
    ]
)


@settings(max_examples=600, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=14),
    dropped=st.integers(0, 90),
    inserted=st.sampled_from(["", " ", "[", "]", "=", "1", "+", " st=run", " to=42", " why="]),
    whole=st.booleans(),
)
def test_guard_reads_a_damaged_marker_as_the_deployer_does(
    pieces: list[str], dropped: int, inserted: str, whole: bool
) -> None:
    """What people's hands made of a marker is active for both or for neither, and then says the same."""
    description = RUN[:dropped] + inserted + RUN[dropped + 1 :] if whole else " ".join(pieces)
    ours, guards = as_our_own(description, "41", "42"), as_the_guard(description, "41", "42")
    assert (ours is None) == (guards is None)
    if ours and guards:
        assert ours[0] == guards[0]
        assert markers.parse(ours[1]) == markers.parse(guards[1])


def with_fields(fields: str) -> str:
    """Return the marker of a rollout in its first step with more fields in their place, or others than it has."""
    return RUN.replace(" w=", f" {fields} w=") if " w=" in RUN else RUN.replace(" st=", f" {fields} st=")


@pytest.mark.parametrize(
    "description",
    [
        *(with_fields(fields) for fields in ("t=30", "t=x", "ok=30", "ok=x", "p=1s", "p=12s", "p=2", "p=x", "p=1xs", "p=s")),
        *(RUN.replace("w=10", f"w={share}") for share in ("0", ".1", "-0.5", "0.0", "100", "100.1", "101", "x", "nan")),
        RUN.replace("from=41", "from="),
        RUN.replace("step=1/3", "step=1/x"),
        "[lc1 id=6.1 from=40 to=41 step=1/2 at=1763000000 w=10+95 st=rolled-back] " + RUN,
        RUN + " [lc1 ]",
    ],
)  # fmt: skip
def test_guard_takes_each_field_as_the_deployer_does(description: str) -> None:
    """Of each field both know what is damaged, and of several markers both take the last; the text says the same."""
    assert as_the_guard(description, "41", "42") == as_our_own(description, "41", "42")
