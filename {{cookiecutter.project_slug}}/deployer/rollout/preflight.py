"""The pre-flight: what a version and its alarms must show before any traffic. Shell; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.aws.client import Aws
from deployer.aws.registry import require_pullable
from deployer.config import Environment
from deployer.errors import DeployerError, Exit
from deployer.rollout import sample as samples

TRIES = 3


def check_version(aws: Aws, stable: str, target: str, *, is_shared: bool) -> None:
    """Refuse what Lambda would refuse after traffic moved, with a clearer message.

    `is_shared`: both versions will have traffic at once.
    Source: both versions of a weighted alias need the same role and dead-letter target,
    https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    if target == "$LATEST":
        raise DeployerError(
            "`$LATEST` cannot be rolled out",
            found="found `$LATEST`, expected a published version",
            hint="deployer apply prints the version that it published",
            exit_code=Exit.REFUSED,
        )
    old, new = aws.describe_version(stable), aws.describe_version(target)
    for what in ("role", "dead_letter"):
        if is_shared and old[what] != new[what]:
            raise DeployerError(
                f"versions {stable} and {target} differ in their {what.replace('_', '-')}",
                found=f"found `{new[what]}`, expected `{old[what]}`",
                hint="release that change all at once: steps = [] for one release",
                exit_code=Exit.REFUSED,
            )
    if new["state"] != "Active":
        raise DeployerError(
            f"version {target} cannot serve",
            found=f"found state {new['state']}, expected Active",
            hint="deployer apply",
            exit_code=Exit.REFUSED,
        )


def check_way_back(aws: Aws, stable: str) -> None:
    """Refuse a rollout that nobody could take back: a stable version that is Failed, or without its image.

    Raises DeployerError (exit 5).
    """
    state = aws.describe_version(stable)["state"]
    if state == "Failed":
        raise DeployerError(
            f"there is no way back: version {stable} is Failed",
            found="found state Failed, expected Active",
            hint=_ANYWAY,
            exit_code=Exit.REFUSED,
        )
    try:
        require_pullable(aws.ecr, aws.image_of(stable))
    except DeployerError as error:
        if error.exit_code == Exit.REFUSED:
            error.what = f"there is no way back to version {stable}: {error.what}"
            error.hint = f"{error.hint}; or {_ANYWAY}"
        raise


_ANYWAY = "deployer rollout start --force REASON, if this release is what mends it"


def check_alarms(aws: Aws, settings: Environment) -> None:
    """Refuse an alarm of deploy.toml that exists but has never seen its metric.

    The stack's own alarms are not asked: a function nobody called yet has no data, and steps deal with that.
    """
    silent = aws.alarms_without_data(settings.alarm_names())
    if silent:
        raise DeployerError(
            f"alarm `{silent[0]}` watches a metric that never had data",
            found="found no data point in two weeks, expected at least one",
            hint=f"aws cloudwatch describe-alarms --alarm-names {silent[0]}: compare its dimensions",
            exit_code=Exit.REFUSED,
        )


def try_sample(
    aws: Aws, target: str, sample: samples.Sample | None, named: tuple[object, Mapping[str, str]]
) -> str:
    """Send a version the owner's real sample three times and return in one sentence what came of it.

    It is asked for where traffic proves nothing. `named` are the harmless event, which stands in where there
    is no sample, and the resources by logical key. Raises DeployerError (exit 5) for one that fails once.
    """
    probe, names = named
    if sample is None:
        for _ in range(TRIES):
            send_probe(aws, target, probe)
        return f"none: there is no {samples.SAMPLE}; version {target} only answered {samples.PROBE}"
    for tried in range(1, TRIES + 1):
        try:
            samples.send(sample, lambda event: aws.invoke(target, event), aws.client, names)
        except samples.Unlike as error:
            raise DeployerError(
                f"version {target} failed the sample at try {tried} of {TRIES}",
                found=error.found,
                hint=error.hint,
                exit_code=Exit.REFUSED,
            ) from error
    return f"version {target} handled {samples.SAMPLE} {TRIES} of {TRIES} times"


def send_probe(aws: Aws, target: str, probe: object) -> None:
    """Send a version the owner's harmless event; one that cannot even start is refused (exit 5)."""
    error, answer = aws.invoke(target, probe)
    if error is not None:
        message = answer.get("errorMessage", "") if isinstance(answer, dict) else str(answer)
        raise DeployerError(
            f"version {target} does not answer {samples.PROBE}",
            found=f"found {error}: {message[:300]}",
            hint=f"aws logs tail /aws/lambda/{aws.function_name}",
            exit_code=Exit.REFUSED,
        )
