"""What the rehearsal must know of the function, read from its Dockerfile. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deployer.errors import DeployerError

_COMMAND = re.compile(r'(?m)^CMD[ \t]*\[[ \t]*"([\w./-]+)\.(\w+)"[ \t]*\][ \t]*$')
_SERVICES = re.compile(r'(?m)^ARG[ \t]+AWS_SERVICES="([^"]*)"')


@dataclass(frozen=True)
class Handler:
    """Where Lambda enters the code: a function of a module, e.g. `handler` of `app.handler`."""

    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.module}.{self.function}"

    @property
    def path(self) -> str:
        """Return the module's file, relative to the repository."""
        return f"{self.module.replace('.', '/')}.py"


def handler_of(dockerfile: str) -> Handler:
    """Return the handler `CMD` names. Raises DeployerError when it names none, or one outside `app`."""
    found = _COMMAND.findall(dockerfile)
    if not found or not found[-1][0].replace("/", ".").startswith("app."):
        raise DeployerError(
            "the rehearsal cannot find the function's handler",
            found=f"found {'no `CMD`' if not found else '`' + '.'.join(found[-1]) + '`'} in the Dockerfile, "
            'expected CMD ["app.MODULE.FUNCTION"]',
            hint='write it on one line of the Dockerfile, e.g. CMD ["app.handler.handler"]',
        )
    module, function = found[-1]
    return Handler(module.replace("/", "."), function)


def services_of(dockerfile: str) -> frozenset[str] | None:
    """Return the AWS services whose descriptions the image keeps; None when it keeps all."""
    found = _SERVICES.search(dockerfile)
    return frozenset(found[1].split()) if found else None
