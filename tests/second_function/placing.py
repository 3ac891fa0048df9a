"""Put the second function into a generated repository, in place of the sample. Only the owner's files change."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = ("app", "smoke", "tests/app")
# What stands in infra/service.yaml for the sample alone; another function has other resources.
SAMPLE_RESOURCES = (
    "SourceBucketPermission", "SourceBucket", "SourceBucketPolicy", "ResizedBucket", "ResizedBucketPolicy",
)  # fmt: skip
SAMPLE_OUTPUTS = ("SourceBucket", "ResizedBucket")


def place(repository: Path) -> None:
    """Replace the sample by the second function in a generated repository."""
    for folder in FOLDERS:
        shutil.rmtree(repository / folder)
        shutil.copytree(HERE / folder, repository / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.in", "app.txt"):
        shutil.copy2(HERE / "requirements" / name, repository / "requirements" / name)
    shutil.copy2(HERE / "infra" / "permissions.yaml", repository / "infra" / "permissions.yaml")
    template = repository / "infra" / "service.yaml"
    part = (HERE / "infra" / "resources.yaml").read_text(encoding="utf-8")
    template.write_text(with_resources(template.read_text(encoding="utf-8"), part), encoding="utf-8")
    dockerfile = repository / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8")
    dockerfile.write_text(text.replace('AWS_SERVICES="s3"', 'AWS_SERVICES="dynamodb"'), encoding="utf-8")
    settings = repository / "deploy.toml"
    settings.write_text(without_variables(settings.read_text(encoding="utf-8")), encoding="utf-8")


def with_resources(template: str, part: str) -> str:
    """Return the service template with the second function's variables, resources and outputs."""
    for section, keys in (("Resources", SAMPLE_RESOURCES), ("Outputs", SAMPLE_OUTPUTS)):
        for key in keys:
            template = _without(template, section, key)
    template = re.sub(r"(?m)^  IsTriggeredByS3: .*\n", "", template)
    new = {name: _body(part, name) for name in ("Variables", "Resources", "Outputs")}
    variables = "".join(f"        {line}\n" for line in new["Variables"].rstrip().splitlines())
    template, times = re.subn(
        r"(?m)^ +# The name, not a Ref[^\n]*\n +RESIZED_BUCKET: [^\n]*\n", lambda _: variables, template
    )
    assert times == 1
    template = template.replace(
        "\nOutputs:\n", f"\n{new['Resources'].rstrip()}\n\nOutputs:\n{new['Outputs']}"
    )
    return template.replace("with its trigger, buckets, alarms", "with its table, alarms")


def without_variables(settings: str) -> str:
    """Return deploy.toml without the sample's variables; the table stays."""
    return re.sub(r"(?ms)^\[function\.variables\]\n.*?\n\n", "[function.variables]\n\n", settings)


def _body(part: str, section: str) -> str:
    """Return what stands below a key of the first level."""
    found = re.search(rf"(?ms)^{section}:\n(.*?)(?=^\w|\Z)", part)
    assert found
    return found[1]


def _without(template: str, section: str, key: str) -> str:
    """Return the template without one entry of a section, and without the comment above it."""
    head, start, body = template.partition(f"\n{section}:\n")
    entry = rf"(?m)^(?:  #[^\n]*\n)*  {key}:\n(?:(?:    [^\n]*)?\n)*?(?=  \S|\S|\Z)"
    body, times = re.subn(entry, "", body, count=1)
    assert times == 1, key
    return head + start + body
