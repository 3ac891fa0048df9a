"""Run MiniStack inside its own environment, bound to the given addresses only.

Shell; started by `testbed/watchdog.py` with `.venv-local-aws`'s Python, so nothing of this repository is
imported but `testbed/enforcement/`, which needs nothing else of it. It ends when its standard input closes,
so that it cannot outlive the watchdog either.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(addresses: list[str]) -> None:
    """Serve on every `host:port` of `addresses` until standard input closes or a signal ends the process."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()

    # Imported here, because only the environment this runs in has them.
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415
    from ministack.core import lambda_runtime  # noqa: PLC0415
    from ministack.services import cloudwatch, lambda_svc  # noqa: PLC0415

    # It would evaluate every alarm without dimensions at each PutMetricData, and overrule the states that
    # `rehearsal/traffic.py` sets. Looked up first, so that a version without it fails here and not silently.
    assert callable(cloudwatch._evaluate_alarm)  # noqa: S101
    cloudwatch._evaluate_alarm = lambda alarm: None

    assert callable(cloudwatch._stat_value)  # noqa: S101
    cloudwatch._stat_value = _with_trimmed_counts(cloudwatch._stat_value)
    _keep_expressions(cloudwatch)
    _keep_failed_workers(lambda_runtime)
    _remember_failed_starts(lambda_runtime)
    _keep_commands_apart(lambda_svc)
    _enforce_roles()

    config = Config()
    config.bind = addresses
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))


def _enforce_roles() -> None:
    """Enforce roles when the environment names the file that says how."""
    # Last on the path: no module of this repository may hide one that MiniStack imports.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from testbed.enforcement import settings  # noqa: PLC0415  # needs the line above

    if named := os.environ.get(settings.VARIABLE):
        from testbed.enforcement import parts  # noqa: PLC0415

        parts.install(settings.load(Path(named)))


def _with_trimmed_counts(known: Callable[..., float | None]) -> Callable[..., float | None]:
    """Add the statistic `TC(L:)`, how many values are above L, to those the local AWS knows.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """

    def statistic(stats: object, name: str, points: list[dict[str, float]] | None = None) -> float | None:
        found = re.fullmatch(r"TC\((\d+(?:\.\d+)?):\)", name or "")
        if found is None:
            return known(stats, name, points)
        return sum(point.get("Count", 1.0) for point in points or () if point["Value"] > float(found[1]))

    return statistic


def _keep_expressions(cloudwatch: Any) -> None:
    """Keep what an alarm on metric math is put with, so that DescribeAlarms answers it; it would be dropped.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    known = cloudwatch._put_metric_alarm

    def put(params: Any, data: Any, *form: Any) -> Any:
        answer = known(params, data, *form)
        alarm = cloudwatch._alarms.get((data or {}).get("AlarmName"))
        if alarm is not None and data.get("Metrics"):
            alarm["Metrics"] = data["Metrics"]
            for name in ("MetricName", "Namespace", "Statistic", "Period", "Dimensions", "Unit"):
                alarm.pop(name, None)
        return answer

    cloudwatch._put_metric_alarm = put


def _keep_failed_workers(runtime: Any) -> None:
    """Let a worker whose handler raised serve on, as Lambda does; the local AWS would kill it.

    With every failed request a start of seconds, an outage would look like silence.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    raised = '"status": "error", "error": str(e), "trace"'
    assert runtime._PYTHON_WORKER_SCRIPT.count(raised) == 1  # noqa: S101
    runtime._PYTHON_WORKER_SCRIPT = runtime._PYTHON_WORKER_SCRIPT.replace(
        raised, '"status": "ok", "raised": True, "error": str(e), "trace"'
    )
    known = runtime.Worker.invoke

    def invoke(*arguments: Any, **named: Any) -> dict[str, Any]:
        answer: dict[str, Any] = known(*arguments, **named)
        return answer | {"status": "error"} if answer.pop("raised", False) else answer

    runtime.Worker.invoke = invoke


def _remember_failed_starts(runtime: Any) -> None:
    """Let a published version that could not start fail at once the next time; it never changes.

    The local AWS would unpack its code for each call, and everybody else would wait for that.
    """
    known, failed = runtime.Worker._spawn, dict[tuple[str, ...], str]()

    def spawn(worker: Any) -> Any:
        config = worker.config
        key = tuple(str(config.get(name)) for name in ("FunctionArn", "Version", "CodeSha256", "Handler"))
        if key in failed:
            raise RuntimeError(failed[key])
        try:
            return known(worker)
        except RuntimeError as error:
            if "init failed" in str(error) and str(config.get("Version", "")).isdigit():
                failed[key] = str(error)
            raise

    runtime.Worker._spawn = spawn


def _keep_commands_apart(service: Any) -> None:
    """Let a container serve versions with its own command only; the local AWS looks at the image alone."""
    known = service._warm_pool_key

    def key(function: str, config: dict[str, Any]) -> str:
        override = (config.get("ImageConfigResponse") or {}).get("ImageConfig") or {}
        mark = f":{json.dumps(override, sort_keys=True)}" if override else ""
        return f"{known(function, config)}{mark}"

    service._warm_pool_key = key


def _end_with_stdin() -> None:
    """Wait for the end of standard input and leave at once: there is no state worth saving."""
    # The raw descriptor: sys.stdin's lock would be held while the interpreter shuts down.
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
