"""Where to report a fault, who is asked, and what a pull request says: present in both repositories, and true."""

from __future__ import annotations

import re

import pytest

from docs import reading
from docs.calls import call_faults
from generating import GENERATED, ROOT

SECURITY = {"template": "SECURITY.md", "generated": ".github/SECURITY.md"}
REPOSITORIES = {"template": ROOT, "generated": GENERATED}
# Whoever changes one of these changes what runs with deploy rights.
POWERFUL = {
    "template": [".ci", ".github", "hooks", "requirements", GENERATED.name],
    "generated": [
        ".github",
        "adopted.toml",
        "deployer",
        "dev.py",
        "infra",
        "rehearsal",
        "requirements",
        "testbed",
    ],
}
PAGES = [
    (name, page)
    for name in REPOSITORIES
    for page in (SECURITY[name], ".github/CODEOWNERS", ".github/pull_request_template.md")
]


def text_of(repository: str, page: str) -> str:
    """Return the text of a page of one of the two repositories."""
    return (REPOSITORIES[repository] / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(("repository", "page"), PAGES)
def test_nobody_is_invented(repository: str, page: str) -> None:
    """No page gives an address, a number or a name that somebody would have to own."""
    text = text_of(repository, page)
    assert re.findall(r"[\w.+-]+@[\w-]+\.\w+|https?://\S+|\+\d{6,}", text) == []
    assert set(re.findall(r"(?<!\w)@[\w/-]+", text)) <= {"@YOUR-ORG/YOUR-TEAM"}


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_a_fault_can_be_reported_without_telling_everybody(repository: str) -> None:
    """The page names GitHub's private report, and the command that switches it on where an owner must."""
    text = text_of(repository, SECURITY[repository])
    assert '"Report a vulnerability"' in text
    if repository == "generated":
        # Source: https://docs.github.com/en/rest/repos/repos#enable-private-vulnerability-reporting-for-a-repository
        assert "gh api --method PUT repos/{owner}/{repo}/private-vulnerability-reporting" in text


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_links_of_the_page_lead_somewhere(repository: str) -> None:
    """Every link of SECURITY.md is a file of the repository, and its anchor a heading there."""
    page = REPOSITORIES[repository] / SECURITY[repository]
    links = [link.partition("#") for link in reading.links(page.read_text(encoding="utf-8"))]
    assert links
    for file, _, anchor in links:
        target = (page.parent / file).resolve()
        assert target.is_file(), file
        assert not anchor or anchor in reading.anchors(target.read_text(encoding="utf-8")), anchor


def test_commands_of_the_page_exist() -> None:
    """Every command of the deployer that the generated page names is one."""
    shown = list(reading.commands(text_of("generated", SECURITY["generated"]), "deployer"))
    assert len(shown) == 2
    assert [fault for words in shown for fault in call_faults(words)] == []


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_owners_are_asked_about_what_has_rights(repository: str) -> None:
    """CODEOWNERS has a line for everything that runs with deploy rights, each of which exists."""
    lines = re.findall(r"^# /(\S+?)/?\s+@\S+$", text_of(repository, ".github/CODEOWNERS"), re.MULTILINE)
    assert sorted(lines) == sorted(POWERFUL[repository])
    assert [line for line in lines if not (REPOSITORIES[repository] / line).exists()] == []


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_pull_request_asks_for_what_exists(repository: str) -> None:
    """Every command, file and folder the template of a pull request names is there."""
    text = text_of(repository, ".github/pull_request_template.md")
    sources = text_of("template", "dev.py") + text_of("generated", "dev.py")
    targets = set(re.findall(r'^    "([a-z]+)": \(', sources, re.MULTILINE))
    assert {words[0] for words in reading.commands(text, "make")} <= targets
    assert [path for path in reading.paths(text) if not (REPOSITORIES[repository] / path).exists()] == []
    assert "- [ ]" in text
