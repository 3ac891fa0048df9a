"""Which alarms a rollout watches: the stack's, deploy.toml's, and not the one a comparison replaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from deployer import config
from deployer.cli.commands import Context, watched_alarms
from deployer.clock import SystemClock
from deployer.report.console import Output

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.staging]
steps = []
[environments.production]
steps = [{{ weight_pct = 10, bake_s = 300 }}]
{more}
"""


class Stacks:
    """A CloudFormation whose stack lists its two alarms."""

    def describe_stacks(self, **_):
        """Answer with the outputs of infra/service.yaml."""
        outputs = [
            {"OutputKey": "AlarmNames", "OutputValue": "fn-errors,fn-throttles"},
            {"OutputKey": "ErrorsAlarmName", "OutputValue": "fn-errors"},
        ]
        return {"Stacks": [{"StackName": "fn", "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}

    def get_template(self, **_):
        """Answer with an empty template."""
        return {"TemplateBody": ""}


@dataclass
class Port:
    """The part of the AWS port that is asked."""

    cloudformation: Stacks


@pytest.mark.parametrize(
    ("environment", "more", "expected"),
    [
        pytest.param("production", "", ("fn-throttles",), id="compared: errors are left to the comparison"),
        pytest.param("staging", "", ("fn-errors", "fn-throttles"), id="all at once: nothing compares them"),
        pytest.param(
            "production",
            'alarms = ["fn-errors", "mine"]',
            ("fn-errors", "fn-throttles", "mine"),
            id="named in deploy.toml: watched all the same",
        ),
        pytest.param(
            "production",
            'driver = "codedeploy"',
            ("fn-errors", "fn-throttles"),
            id="CodeDeploy compares nothing",
        ),
    ],
)
def test_the_alarm_on_all_errors_is_watched_where_nothing_compares(environment, more, expected):
    """An alarm that cannot tell a bad version from a bad hour does not overrule the comparison by itself."""
    settings = config.parse(SETTINGS.format(more=more))
    context = Context(settings, Path(), environment, Output(), SystemClock(), lambda *_: None)
    assert watched_alarms(context, Port(Stacks())) == expected
