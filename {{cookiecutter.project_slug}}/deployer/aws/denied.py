"""A denied call in AWS's words -> role, action, resource, and the command that mends it. Pure.

Source: the forms of the message,
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STANDARD = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<resource>[^\s\"]+)\"?)?"
    r"(?P<why>(?: with an explicit deny in an? [\w -]+?policy)|(?: with an explicit deny)"
    r"|(?: because no [\w -]+? allows the [\w-]+:\w+ action))?"
)
# Older handlers of CloudFormation, and services that say no more.
_HANDLER = re.compile(r"API: (?P<action>[\w-]+:\w+) (?:User: (?P<who>\S+) is not authorized|Access Denied)")
_ROLE = re.compile(r"^arn:[\w-]+:(?:sts::\d*:assumed-role|iam::\d*:role)/(?P<role>[^/]+)")
_USER = re.compile(r"^arn:[\w-]+:iam::\d*:(?P<user>root|user/.+)$")
# NAME-push-REGION, NAME-ENV-deploy-REGION: the roles that infra/ makes.
_OURS = re.compile(
    r"^.+?(?:-(?P<environment>staging|production))?"
    r"-(?P<kind>push|prune|deploy|plan|rollback|smoke|gameday|stack|function|guard|rollout)"
    r"-[a-z]{2,3}(?:-[a-z]+)+-\d$"
)
_IMAGE = "Lambda does not have permission to access the ECR image"
_LOGIN_ENDED = "authorization token has expired"
_NO_ROLE = re.compile(r"Role (?P<role>\S+) is invalid or cannot be assumed")


@dataclass(frozen=True)
class Denied:
    """One denied call; what AWS did not say is empty. `why` is the kind of policy that decided."""

    role: str
    action: str
    resource: str = ""
    why: str = ""

    def sentence(self) -> str:
        """Say who lacks what, on what, and by which policy."""
        on = f" on `{self.resource}`" if self.resource else ""
        by = f", {self.why}" if self.why else ""
        return (
            f"found {self.role or 'these credentials'} without `{self.action}`{on}{by}, expected it granted"
        )


def parse(text: str) -> Denied | None:
    """Read a denial in any text that has AWS's words in it, or return None."""
    if found := _STANDARD.search(text):
        resource = (found["resource"] or "").rstrip(".,;)")
        why = re.sub(r" allows the .*", " allows it", (found["why"] or "").strip())
        return Denied(_named(found["who"]), found["action"], resource, why.removeprefix("because "))
    if found := _HANDLER.search(text):
        return Denied(_named(found["who"] or ""), found["action"])
    return None


def mends(text: str) -> tuple[str, str] | None:
    """Return what was found and the next command, for a text in which AWS denies something; else None."""
    if found := parse(text):
        return found.sentence(), _hint(found)
    if _IMAGE in text:
        return (
            "found that Lambda may not pull the image, expected the repository to let it",
            "deployer bootstrap --registry: the repository's policy in infra/registry.yaml names who may",
        )
    if found_role := _NO_ROLE.search(text):
        return (
            f"found that CloudFormation cannot use `{found_role['role']}`, expected the stack role",
            "deployer bootstrap, which sets AWS_STACK_ROLE_ARN or prints the command",
        )
    if _LOGIN_ENDED in text:
        return "found a login to the registry that has ended, expected one that is valid", "re-run the job"
    return None


def _named(arn: str) -> str:
    if match := _ROLE.match(arn):
        return f"role `{match['role']}`"
    if match := _USER.match(arn):
        return f"`{match['user']}`"
    return f"`{arn}`" if arn else ""


def _hint(denied: Denied) -> str:
    """Return where the right is granted, and the command that brings it into the account."""
    if "control policy" in denied.why:
        return "ask whoever administers the organisation: its policy denies it, and no role here can grant it"
    if "session policy" in denied.why or "endpoint policy" in denied.why:
        return "sign in without that policy: it is none of this repository's"
    if "resource-based policy" in denied.why and denied.action.startswith("ecr:"):
        return "deployer bootstrap --registry: the repository's policy in infra/registry.yaml names who may"
    match = _OURS.match(denied.role.removeprefix("role ").strip("`"))
    if match is None:
        return "sign in as an administrator, or as the command's own role: docs/release.md, section Rights"
    kind, environment = match["kind"], match["environment"]
    boundary = " and in the boundary" if "boundary" in denied.why else ""
    then = f", then `deployer apply --env {environment}`" if kind in ("function", "guard", "rollout") else ""
    part = f"--env {environment}" if environment else "--registry"
    return f"deployer bootstrap {part}{then}; {_where(kind, environment)} must grant it{boundary}"


def _where(kind: str, environment: str | None) -> str:
    """Return the place in `infra/` that grants a role of that kind its rights."""
    if environment is None:
        return f"the {kind} role in infra/registry.yaml"
    if kind in ("function", "stack", "smoke"):
        return f"section `{kind}` of infra/permissions.yaml, or the {kind} role in infra/bootstrap.yaml,"
    if kind in ("guard", "rollout"):
        return f"the {kind} role in infra/service.yaml"
    return f"the {kind} role in infra/bootstrap.yaml"
