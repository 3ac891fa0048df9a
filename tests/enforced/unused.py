"""Grants that no recorded request needs, by the reason for which they are there all the same.

As `enforced/grants.py` names them, without function and region: `ROLE: ACTION on RESOURCE`. One that a recording needs
fails, and so does one that no role has.
"""

from __future__ import annotations

UNUSED: dict[str, tuple[str, ...]] = {
    "the local AWS never goes on with a durable execution, so the function of the durable driver never got further than "
    "its log; the same code does its work under the deploy role": (
        "rollout: lambda:CheckpointDurableExecution on function:NAME-rollout:*",
        "rollout: lambda:GetDurableExecutionState on function:NAME-rollout:*",
        "rollout: lambda:GetAlias on function:NAME",
        "rollout: lambda:UpdateAlias on function:NAME",
        "rollout: cloudwatch:DescribeAlarms on *",
        "rollout: cloudwatch:GetMetricData on *",
        "rollout: lambda:DeleteProvisionedConcurrencyConfig on function:NAME:*",
        "rollout: cloudwatch:DeleteAlarms on alarm:NAME-canary-*",
        "rollout: cloudwatch:PutMetricAlarm on alarm:NAME-canary-*",
        "rollout: sns:Publish on NAME-rollouts",
    ),
    "asked at the latest end of a rollout that nobody drives, which no recording waits for; test_guard_deployed.py does": (
        "guard: cloudwatch:DeleteAlarms on alarm:NAME-canary-*",
        "schedule: lambda:InvokeFunction on function:NAME-guard",
    ),
    "asked where a rollback meets provisioned concurrency, which no story plays together": (
        "rollback: lambda:DeleteProvisionedConcurrencyConfig on function:NAME:*",
    ),
    "the local AWS ignores where an alias sends the events that failed for good": (
        "function: sqs:SendMessage on NAME-failures",
        "guard: sqs:SendMessage on NAME-failures",
    ),
    "without it S3 says `access denied` of an object that is gone, and no recorded object was": (
        "function: s3:ListBucket on NAME-source-000000000000",
        "deploy: s3:ListBucket on NAME-source-000000000000",
    ),
    "read where a change set itself is refused: CloudFormation names the resources by an operation of its own": (
        "deploy: cloudformation:DescribeEvents on stack/NAME/*",
        "deploy: cloudformation:DescribeEvents on changeSet/NAME-*/*",
    ),
    "asked where the version to go back to was deleted or has no image any more, which no recording met": (
        "rollback: lambda:ListVersionsByFunction on function:NAME",
    ),
    "read by doctor, which no recording ran as this role": ("plan: lambda:GetPolicy on function:NAME",),
    "reading, which AWS's schemas do not list; kept until a release in AWS shows that it is not asked for": (
        "stack: lambda:ListTags on function:NAME",
        "stack: s3:GetBucketLocation on NAME-source-000000000000",
    ),
}
