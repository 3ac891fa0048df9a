"""Measure the seconds from the decision to roll back to traffic that is verified back, on a local AWS.

    python3 dev.py run -m benchmarks.rollback_time

AWS here is the rehearsal's stand-in on this machine, so this is the deployer's own part without the network:
two GetAlias and one UpdateAlias. No container runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

from testbed import local_aws

from deployer.aws.client import Aws
from deployer.model import AliasWrite
from deployer.rollout import run as rollout

FUNCTION = "rollback-time"
RUNS = 50
GOAL_S = 1.0
MARKER = "[lc1 id=77.1 from=1 to=2 step=1/2 at=1763712000 plan=9c1e st=run]"


def prepare(aws: Aws) -> None:
    """Make a function with two versions and an alias; its image is never run."""
    client = aws._lambda
    image = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/none@sha256:"
    client.create_function(
        FunctionName=FUNCTION,
        PackageType="Image",
        Code={"ImageUri": image + "a" * 64},
        Role="arn:aws:iam::000000000000:role/none",
    )
    client.publish_version(FunctionName=FUNCTION)
    client.update_function_code(FunctionName=FUNCTION, ImageUri=image + "b" * 64)
    client.publish_version(FunctionName=FUNCTION)
    client.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1")


def seconds(aws: Aws) -> float:
    """Put a canary on the alias, roll it back, and return how long that took."""
    aws.update_alias(AliasWrite("1", MARKER, "2", 10), revision=aws.alias().revision)
    started = time.perf_counter()
    done = rollout.roll_back(aws, reason="measured")
    elapsed = time.perf_counter() - started
    if done.version != "1":
        sys.exit("error: the traffic is not back, so there is nothing to time")
    return elapsed


def main() -> None:
    """Print the median, the fastest and the slowest rollback beside the goal."""
    parser = argparse.ArgumentParser(description="measure the seconds of a rollback on a local AWS")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how often to roll back (default {RUNS})")
    runs = max(1, parser.parse_args().runs)
    with local_aws.running() as running:
        os.environ.update(running.environment())
        aws = Aws(FUNCTION, running.region)
        prepare(aws)
        found = sorted(seconds(aws) for _ in range(runs))
    print(
        f"rollback: median {statistics.median(found):.3f} s, {found[0]:.3f} to {found[-1]:.3f} s, "
        f"{runs} runs, goal {GOAL_S:g} s, one UpdateAlias each"
    )


if __name__ == "__main__":
    main()
