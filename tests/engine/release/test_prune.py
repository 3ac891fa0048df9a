"""What may go: in no world anything that is in use, a way back, or under an armed guard."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.aws.observed import AliasSeen, Published, PublishedVersion, StoredImage
from deployer.canary import marker
from deployer.errors import DeployerError, Exit
from deployer.model import Marker, RolloutState
from deployer.release import prune

NOW = 1_763_712_000.0
FUNCTIONS = {"staging": "fn-staging", "production": "fn-production"}


def digest(number: int) -> str:
    """Return a digest that is that number."""
    return f"sha256:{number:064x}"


@st.composite
def markers(draw, numbers):
    """Draw a rollout's marker as the deployer writes it, in any state, with people's words around it."""
    made = Marker(
        id="7f3a",
        from_version=draw(numbers),
        to_version=draw(numbers),
        weights=(10, 50),
        starts=(0,),
        state=draw(st.sampled_from(RolloutState)),
        why=draw(st.sampled_from(["", "bad", "from=x to="])),
    )
    text = marker.render(draw(st.sampled_from(["", "mine", "my [own] words"])), made)
    # Words behind the marker make it one that the deployer itself does not read.
    return made, draw(st.sampled_from([text, f"{text} edited"]))


@st.composite
def worlds(draw):
    """Draw a function: versions with gaps, images that are shared, aliases, weights, markers, armed guards."""
    numbers = sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=25)))
    some = st.sampled_from([str(number) for number in numbers])
    versions = tuple(PublishedVersion(str(n), digest(draw(st.integers(0, 12)))) for n in numbers)
    aliases, named = [], set()
    for name in draw(st.lists(st.sampled_from(["live", "blue"]), unique=True)):
        made, text = draw(st.one_of(st.just((None, "")), markers(some)))
        serving = draw(st.lists(some, min_size=1, max_size=2))
        aliases.append(AliasSeen(name, tuple(serving), text))
        named |= {*serving, *((made.from_version, made.to_version) if made else ())}
    armed = draw(st.sets(some, max_size=3))
    found = Published(versions, digest(draw(st.integers(0, 12))), tuple(aliases), frozenset(armed))
    return found, named | armed


@given(worlds(), st.integers(1, 30))
def test_nothing_that_somebody_needs_is_ever_removed(world, newest):
    """Whatever serves, is named by a marker, is guarded or is among the newest stays; everything else goes."""
    found, needed = world
    gone = set(prune.removable_versions(found, newest))
    numbers = sorted((v.number for v in found.versions), key=int)
    assert not gone & needed
    assert not gone & set(numbers[-newest:])
    assert gone == set(numbers) - needed - set(numbers[-newest:])


@given(worlds(), worlds(), st.integers(1, 5), st.data())
def test_no_image_in_use_is_ever_removed(staging, production, newest, data):
    """Neither a version's image, nor `$LATEST`'s, nor a new one, nor what is attached to one that stays."""
    used = [
        prune.in_use(world[0], environment=name, function=FUNCTIONS[name], at=NOW)
        for name, world in (("staging", staging), ("production", production))
    ]
    digests = prune.check_in_use(used, FUNCTIONS, NOW)
    images = [
        StoredImage(
            digest(number),
            ("tag",) if data.draw(st.booleans()) else (),
            float(data.draw(st.integers(0, 5))),
            data.draw(st.sampled_from(["", "", digest(data.draw(st.integers(0, 20)))])),
            data.draw(st.sampled_from(["ACTIVE", "ARCHIVED"])),
        )
        for number in range(20)
    ]
    gone = {image.digest for image in prune.removable_images(images, digests, newest)}
    for world, _ in (staging, production):
        assert not gone & {version.digest for version in world.versions}
        assert world.latest_digest not in gone
    tagged = sorted(
        (i for i in images if i.tags and not i.subject), key=lambda i: (i.pushed_at, i.digest), reverse=True
    )
    assert not gone & {image.digest for image in tagged[:newest]}
    assert gone.issuperset(i.digest for i in tagged[newest:] if i.digest not in digests)
    kept = {image.digest for image in images} - gone
    assert all(image.digest in kept for image in images if image.subject in kept)
    assert all(image.digest in kept for image in images if not image.tags and not image.subject)


FEW = Published(
    tuple(PublishedVersion(str(n), digest(n)) for n in range(1, 16)),
    digest(15),
    (AliasSeen("live", ("12",), "mine [lc1 id=a from=3 to=12 step=1/0 at=0 plan=a st=done]"),),
    frozenset({"5"}),
)


def test_each_version_that_stays_has_its_reason():
    """Whoever reads the list sees why a version is kept."""
    assert prune.kept_versions(FEW, 2) == {
        "12": "alias live sends traffic to it",
        "3": "the marker of alias live names it",
        "5": "a guard's alarm watches it",
        "15": "one of the newest 2",
        "14": "one of the newest 2",
    }
    assert prune.removable_versions(FEW, 2) == ("1", "2", "4", "6", "7", "8", "9", "10", "11", "13")


@pytest.mark.parametrize("description", ["[lc2 prev=7 new=form]", "from=7", "to=7 and words", "prev=7]"])
def test_a_marker_of_another_form_still_names_its_versions(description):
    """A marker that a later deployer wrote, or that somebody edited, keeps what it names."""
    found = replace(FEW, aliases=(AliasSeen("live", ("12",), description),))
    assert prune.kept_versions(found, 1)["7"] == "the marker of alias live names it"


@pytest.mark.parametrize("newest", [0, -1])
def test_keeping_nothing_is_not_asked_for(newest):
    """At least the newest of each stays, whatever is asked for."""
    with pytest.raises(ValueError, match="at least 1"):
        prune.kept_versions(FEW, newest)
    with pytest.raises(ValueError, match="at least 1"):
        prune.kept_images((), frozenset(), newest)


def test_what_is_written_is_what_is_read():
    """An environment's file is read back as it was meant."""
    used = prune.in_use(FEW, environment="staging", function="fn-staging", at=NOW)
    assert prune.parse_in_use(used.to_json(), name="f") == used
    assert used.digests == {digest(n) for n in range(1, 16)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"staging": None}, "nobody knows what staging uses"),
        ({"production": None}, "nobody knows what production uses"),
        (
            {"staging": {"function": "other-staging"}},
            "found one of `other-staging`, expected one of `fn-staging`",
        ),
        ({"production": {"at": NOW - 3601}}, "found one 60 min old, expected at most 60 min"),
        ({"production": {"at": NOW + 301}}, "found one -5 min old"),
    ],
    ids=["no staging", "no production", "another function", "too old", "from the future"],
)
def test_no_image_goes_as_long_as_nobody_knows(change, words):
    """A missing, foreign or old list of an environment stops everything, with the command that makes a new one."""
    files = []
    for name, function in FUNCTIONS.items():
        used = prune.in_use(FEW, environment=name, function=function, at=NOW - 3600)
        how = change.get(name, {})
        files += [replace(used, **how)] if how is not None else []
    with pytest.raises(DeployerError, match="no image is removed") as caught:
        prune.check_in_use(files, FUNCTIONS, NOW)
    assert words in str(caught.value)
    assert caught.value.exit_code == Exit.REFUSED
    assert "deployer prune --env" in caught.value.hint


GOOD = {"environment": "staging", "function": "fn", "at": 1.0, "digests": [digest(1)]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**GOOD, "digests": []}),
        json.dumps({**GOOD, "digests": ["latest"]}),
        json.dumps({**GOOD, "digests": None}),
        json.dumps({**GOOD, "at": "yesterday"}),
        *(json.dumps({key: value for key, value in GOOD.items() if key != left}) for left in GOOD),
    ],
)
def test_a_file_that_says_nothing_is_refused(text):
    """A file that is empty, cut off or somebody else's never means: nothing is in use."""
    with pytest.raises(DeployerError, match=re.escape("`f` does not say what is in use")) as caught:
        prune.parse_in_use(text, name="f")
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint


def test_what_a_game_day_wrote_down_stays():
    """The version of a game day that was killed holds the alias's own words, which `--repair` needs."""
    versions = tuple(PublishedVersion(str(n), digest(n)) for n in range(1, 30))
    left = replace(versions[0], description="deployer-gameday 77.1-gate | my own words")
    found = Published((left, *versions[1:]), digest(29))
    assert "1" not in prune.removable_versions(found, 2)
    assert "1" in prune.removable_versions(replace(found, versions=versions), 2)
