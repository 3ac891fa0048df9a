"""Every fault at every call and every second: all runs of a scenario with at most so many faults.

From a moment of rest the future depends on nothing but that moment, so each is looked at once: without a
fault, and with each kind of fault at each call and second until the next rest. A run is a path through these
moments; how many paths there are is counted, how many stretches were played as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.proof.invariants import check
from engine.proof.process import AT_A_CALL, OUTAGES_S, Engine, Fault, Kind, Node, Played, Scenario, play


@dataclass
class Explored:
    """What was looked at: `runs` are complete rollouts, `done` of them ended with the canary promoted."""

    runs: int = 0
    done: int = 0
    played: int = 0
    moments: int = 0

    @property
    def rolled_back(self) -> int:
        """Return how many runs ended on the stable version."""
        return self.runs - self.done


@dataclass
class Explorer:
    """Looks at every run of one scenario on one engine."""

    scenario: Scenario
    engine: Engine = field(default_factory=Engine)
    played: int = 0
    _seen: dict[tuple[Any, ...], tuple[int, int]] = field(default_factory=dict)

    def explore(self, faults: int) -> Explored:
        """Look at every run with at most that many faults. Raises Broken at the first invariant that fails."""
        with _deep():
            runs, done = self._from(Node(self.scenario.world()), faults)
        return Explored(runs, done, self.played, len({key[:-1] for key in self._seen}))

    def _from(self, node: Node, faults: int) -> tuple[int, int]:
        """Return how many runs go on from that moment, and how many of them end done."""
        key = (*node.key, faults)
        if key not in self._seen:
            self._seen[key] = self._stretch(node, (), faults)
        return self._seen[key]

    def _stretch(self, node: Node, given: tuple[Fault, ...], left: int) -> tuple[int, int]:
        """Play until the next rest with those faults, then with each further one."""
        played = play(self.engine, self.scenario, node.copied(), given)
        self.played += 1
        check(played.story)
        if played.following is None:
            runs, done = 1, int(played.story.after.routing.stable != node.aws.history[0].routing.stable)
        else:
            runs, done = self._from(played.following, left)
        if left:
            for fault in _next_faults(played, given):
                more_runs, more_done = self._stretch(node, (*given, fault), left - 1)
                runs, done = runs + more_runs, done + more_done
        return runs, done


def _next_faults(played: Played, given: tuple[Fault, ...]) -> Iterator[Fault]:
    """Yield every fault that can follow the given ones before the next rest."""
    last = given[-1] if given else None
    first_call, first_second = 1, 1
    if last is not None and last.call is not None:
        first_call = last.call + 1
        first_second = int(played.call_times[last.call - 1]) + 1
    elif last is not None:
        first_call = (played.calls_at_stop or 0) + 1
    is_cancelled = any(fault.kind is Kind.CANCEL for fault in given)
    is_away = any(fault.kind in OUTAGES_S for fault in given)
    for call in range(first_call, len(played.call_times) + 1):
        for kind in AT_A_CALL:
            if not (kind is Kind.CANCEL and is_cancelled) and not (kind in OUTAGES_S and is_away):
                yield Fault(kind, call=call)
    if not is_cancelled:
        for second in range(first_second, played.seconds + 1):
            yield Fault(Kind.CANCEL, second=second)


@contextmanager
def _deep() -> Iterator[None]:
    """Allow as many calls within calls as a rollout has ticks."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
