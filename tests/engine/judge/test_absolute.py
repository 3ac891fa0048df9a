"""The canary by itself in its last place: its own limit, two of three minutes, and the control's veto."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from deployer.judge.absolute import above_limit, agreeing, error_limit, guarded
from deployer.judge.counts import Counts, Minute, RolloutSoFar, StepStart
from deployer.judge.eprocess import OMEGAS, Share
from deployer.model import GateSettings

SETTINGS = GateSettings()
HALF, LAST = StepStart(0, 50), StepStart(600, 95)
ROLLOUT = RolloutSoFar("41", "42", (HALF, LAST), read_at=3000)
ENOUGH = math.log(40)


def worth(at: int, nats: float, omega: float = 5.0) -> Share:
    """Return a stratum that is worth so many nats for one alternative, and nothing for it to any other."""
    means = tuple(-nats if one == omega else 99.0 for one in OMEGAS)
    return Share(at, 0, 1, 0.9, log_means=means)


def minutes(*errors: float, first: int = 10, calls: int = 100) -> list[Minute]:
    """Return minutes of the canary with so many errors each."""
    return [Minute(60 * n, Counts(calls, count), Counts(5)) for n, count in enumerate(errors, first)]


def failed_at(found: Sequence[Minute], compared: Sequence[Share] = (), **changes: object) -> int | None:
    """Return when the canary fails by itself."""
    rollout = replace(ROLLOUT, **changes)  # type: ignore[arg-type]
    return above_limit(SETTINGS, guarded(found, rollout), rollout, compared)[1].failed_at


GUILTY = [worth(600, 99.0)]


def test_only_what_has_more_than_half_of_the_traffic_is_looked_at():
    """A place at half of it is left to the comparison; from the first heavier one on each minute counts."""
    found = minutes(*(9,) * 5, first=8)
    assert list(guarded(found, ROLLOUT)) == [600, 660, 720]
    heavier = replace(ROLLOUT, starts=(HALF, StepStart(540, 50.5), LAST))
    assert list(guarded(found, heavier)) == [540, 600, 660, 720]
    assert guarded(found, replace(ROLLOUT, starts=(HALF,))) == {}
    assert guarded([replace(minute, source="sample") for minute in found], ROLLOUT) == {}


def test_two_of_three_minutes_above_the_limit_fail():
    """One good minute between two bad ones changes nothing; two between them do."""
    assert failed_at(minutes(30, 30), GUILTY) == 660
    assert failed_at(minutes(30, 0, 30), GUILTY) == 720
    assert failed_at(minutes(30, 0, 0, 30), GUILTY) is None
    assert failed_at(minutes(30), GUILTY) is None


def test_a_minute_at_its_limit_is_not_above_it():
    """One error of a hundred calls is what is allowed, however many minutes have it."""
    assert failed_at(minutes(*(1,) * 300), GUILTY) is None
    assert failed_at(minutes(*(2,) * 300), GUILTY) is not None


def test_the_evidence_has_its_own_level():
    """It fails at a tenth of the errors' alpha, and says that limit whether it fails or not."""
    for errors in (0, 30):
        found = above_limit(SETTINGS, guarded(minutes(errors, errors), ROLLOUT), ROLLOUT, GUILTY)[1]
        assert found.limit == pytest.approx(math.log(1000))
    slow = replace(SETTINGS, compare_slow=True)
    assert above_limit(slow, guarded(minutes(0), ROLLOUT), ROLLOUT, ())[1].limit == pytest.approx(
        math.log(2000)
    )


def test_evidence_below_its_limit_fails_nothing():
    """Two bad minutes of few calls are too little by themselves."""
    assert failed_at(minutes(1, 1, calls=10), GUILTY) is None


def test_an_hour_without_a_call_leaves_the_owners_limit():
    """Nothing is known about the hour before: the limit is the SLO, to the digit."""
    assert error_limit(SETTINGS, Counts()) == 0.01
    assert error_limit(replace(SETTINGS, slo_error_pct=7.0), Counts(1000, 0)) == 0.07


# --- the control


def agreed(*compared: Share) -> list[int]:
    """Return the minutes, of the last place's first five, at which the control agrees."""
    return sorted(agreeing(compared, ROLLOUT, guarded(minutes(*(0,) * 5), ROLLOUT)))


@pytest.mark.parametrize("omega", [5.0, 30.0])
def test_the_control_agrees_from_forty_on(omega):
    """Either alternative is enough; it lasts until the comparison says otherwise."""
    assert agreed(worth(660, ENOUGH, omega)) == [660, 720, 780, 840]
    assert agreed(worth(660, ENOUGH - 0.01, omega)) == []
    assert agreed(worth(660, ENOUGH, omega), worth(780, -0.01, omega)) == [660, 720]


def test_alternatives_do_not_add_up():
    """What speaks for one and then for the other speaks for neither; other alternatives count for nothing."""
    assert agreed(worth(660, ENOUGH, 5.0), worth(720, ENOUGH, 30.0)) == [660]
    assert agreed(worth(660, 99.0, 10.0)) == []


def test_strata_of_one_minute_and_of_several_add_up():
    """The product is over all strata of the place so far."""
    assert agreed(worth(660, ENOUGH / 2), worth(660, ENOUGH / 2)) == [660, 720, 780, 840]
    assert agreed(worth(660, ENOUGH / 2), worth(780, ENOUGH / 2)) == [780, 840]


def test_each_place_speaks_for_itself():
    """What the place before said, for or against the canary, is forgotten where the next begins."""
    assert agreed(worth(540, 99.0)) == [540]
    assert agreed(worth(540, -99.0), worth(600, ENOUGH)) == [600, 660, 720, 780, 840]
    assert agreed(worth(540, ENOUGH / 2), worth(600, ENOUGH / 2)) == []


def test_without_the_controls_consent_nothing_fails():
    """No rate of the canary by itself is enough; where the control agrees later, it fails then."""
    assert failed_at(minutes(*(90,) * 5)) is None
    assert failed_at(minutes(*(90,) * 5), [worth(780, ENOUGH)]) == 780
