"""The checkout's folder `infra/` as merged templates. Shell: reads files, decides nothing."""

from __future__ import annotations

from pathlib import Path

from deployer.config import Config
from deployer.errors import DeployerError, Exit
from deployer.release import merge, permissions, plan
from deployer.release import template as templates
from deployer.release.template import Template


def desired(root: Path, config: Config, environment: str, image_uri: str | None = None) -> plan.Desired:
    """Return what the checkout asks for in one environment.

    Raises DeployerError (exit 2) when a file, a variable or a parameter cannot be used.
    """
    declared = _template(root, merge.SERVICE)
    parameters = merge.parameters(declared, config, environment)
    template = merge.service(declared, _permissions(root), config.variables(environment))
    return plan.Desired(template, parameters, image_uri)


def bootstrap(root: Path) -> Template:
    """Return the template of an environment's roles. Raises DeployerError (exit 2) when it cannot be used."""
    return merge.bootstrap(_template(root, merge.BOOTSTRAP), _permissions(root))


def registry(root: Path, config: Config) -> Template:
    """Return the template of the image repository. Raises DeployerError (exit 2) when it cannot be used."""
    return merge.registry(_template(root, merge.REGISTRY), config)


def check(root: Path, config: Config) -> None:
    """Merge everything for both environments. Raises the DeployerError (exit 2) of the first that fails."""
    for environment in ("staging", "production"):
        templates.render(desired(root, config, environment).template, name=merge.SERVICE)
    templates.render(bootstrap(root), name=merge.BOOTSTRAP)
    templates.render(registry(root, config), name=merge.REGISTRY)


def _template(root: Path, name: str) -> Template:
    return templates.parse(_text(root, name), name=name)


def _permissions(root: Path) -> permissions.Permissions:
    return permissions.parse(_text(root, permissions.NAME))


def _text(root: Path, name: str) -> str:
    try:
        return (root / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeployerError(
            f"`{name}` cannot be read",
            found=f"looked in {root.resolve()}: {error}",
            hint=f"restore it: git checkout -- {name}",
            exit_code=Exit.USAGE,
        ) from error
