"""Any answer is safe: it comes out as it went in, or it is refused in one line."""

from __future__ import annotations

import json
import runpy
import tomllib
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cookiecutter.environment import StrictEnvironment
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from generating import GENERATED, ROOT, Template

GOOD = {
    "project_name": "Image Resizer",
    "project_slug": "image-resizer",
    "description": "Resizes images",
    "github_owner": "my-org",
    "aws_region": "eu-central-1",
    "architecture": "arm64",
}
HOSTILE = {
    "quotes": "\"'\"\"\"'''`",
    "backslashes": '\\ \\n \\" \\\\',
    "ends in a backslash": "ends\\",
    "expression of GitHub": "$" + "{ { secrets.TOKEN } } ${HOME}",
    "shell": "$(touch pwned) `touch pwned` ; touch pwned #",
    "Python": '""" + __import__("os").system("touch pwned") + r"""',
    "TOML": '" \n[evil]'.replace("\n", "") + "\\u0041 \"\"\" ''' = #",
    "HTML": "<script>alert(1)</script> <!-- <details> & &amp; </p>",
    "link": "[a](javascript:alert(1)) ![i](x) [r]: x <https://example.invalid>",
    "Markdown": "| a | b | `c` **d** _e_ ~~f~~ # g",
    "Markdown at the start": "# - > 1. === ```",
    "emoji": "🖼️ 👩‍👩‍👧 é ß 漢字 \U0001f600",
    "closing marks of Jinja": "}} %} #}",
    "three hundred characters": "x" * 300,
    "percent": "100 % %s %(a)s {0} {a}",
}
REFUSED_TEXT = {
    "nothing": "",
    "blank": "   ",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "NUL": "a\0b",
    "DEL": "a\x7fb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "half of a character": "a\ud800b",
    "reversed reading": "a\u202eb",
    "Jinja expression": "{{ 7 }}",
    "Jinja statement": "{% if %}",
    "GitHub expression": "${{ secrets.X }}",
    "301 characters": "x" * 301,
}
REFUSED = {
    "project_slug": [
        *("", "A", "1a", "-a", "a-", "a--b", "a_b", "a.b", "a/b", "../a", "a b", "é", "x" * 30),
        *("con", "nul", "com1", "lpt9", "sthree-a", "a\n", "$(touch pwned)"),
    ],
    "github_owner": ["", "-a", "a-", "a--b", "a b", "a/b", "x" * 40, "é", 'a"', "a\n"],
    "aws_region": ["", "mars", "eu-central", "eu-central-1a", "EU-CENTRAL-1", "eu-central-1\n", "eu--1"],
    "architecture": ["", "arm", "ARM64", "arm64\n"],
}
ACCEPTED = {
    "project_slug": ["a", "a1", "a-1", "x" * 29, "console"],
    "github_owner": ["a", "A-1", "x" * 39, "shortcode_corp"],
    "aws_region": ["us-east-1", "us-gov-west-1", "ap-southeast-7", "il-central-1", "mx-central-1"],
    "architecture": ["arm64", "x86_64"],
}
TEXT = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\u202a\u202b\u202c\u202d\u202e"
    ),
    min_size=1,
    max_size=100,
).filter(lambda text: text.strip())


def render(source: Path, answers: Mapping[str, str]) -> str:
    """Render one file of the template exactly as cookiecutter does."""
    context = {"cookiecutter": {**answers, "_template": "t", "_extensions": []}}
    environment = StrictEnvironment(context=context, keep_trailing_newline=True)
    return environment.from_string(source.read_text(encoding="utf-8")).render(**context)


def hook(name: str, answers: Mapping[str, str], folder: Path) -> dict[str, object]:
    """Render a hook, load it without running what it does as a program, and return its names."""
    script = folder / "hook.py"
    script.write_text(render(ROOT / "hooks" / f"{name}.py", answers), encoding="utf-8")
    return runpy.run_path(str(script))


def faults(folder: Path, **answers: str) -> list[str]:
    """Return the lines with which the first hook refuses these answers."""
    names = hook("pre_gen_project", GOOD | answers, folder)
    return names["faults"](names["ANSWERS"])


class Tags(HTMLParser):
    """The tags and comments of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag with its attributes."""
        self.found.append(f"{tag} {attrs}")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a tag."""
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        """Note a comment."""
        self.found.append(f"!{data}")


def tags(html: str) -> list[str]:
    """Return the tags and comments of a piece of HTML."""
    parser = Tags()
    parser.feed(html)
    parser.close()
    return parser.found


def shape(markdown: str) -> list[str]:
    """Return the kinds of the parts of a Markdown text: what an answer must not change."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parts = [part for block in parser.parse(markdown) for part in (block, *(block.children or ()))]
    texts = ("text", "text_special")
    return [
        f"{part.type} {part.attrs.get('href', '')} {tags(part.content) if 'html' in part.type else ''}"
        for part in parts
        if part.type not in texts
    ]


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_come_out_as_they_went_in(answer: str, template: Template, tmp_path: Path) -> None:
    """A whole generation with such an answer keeps it literally and executes nothing."""
    answers = {"project_name": answer[:100], "project_slug": "image-resizer", "description": answer}
    repository = template.generate(tmp_path, **answers)
    project = tomllib.loads((repository / "deploy.toml").read_text("utf-8"))["project"]
    assert (project["name"], project["description"]) == (answer[:100], answer)
    recorded = json.loads((repository / ".cruft.json").read_text("utf-8"))["context"]["cookiecutter"]
    assert recorded["description"] == answer
    assert not [*tmp_path.rglob("pwned"), *template.path.rglob("pwned")]


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_stay_text_in_the_readme(answer: str) -> None:
    """An answer adds no heading, link, table cell or HTML to the README."""
    plain = render(GENERATED / "README.md", GOOD)
    hostile = render(GENERATED / "README.md", GOOD | {"project_name": answer[:100], "description": answer})
    assert shape(hostile) == shape(plain)


@given(name=TEXT, description=TEXT)
@settings(max_examples=150, deadline=None)
def test_settings_hold_any_text(name: str, description: str) -> None:
    """Whatever the text, deploy.toml is valid TOML and gives it back."""
    text = render(GENERATED / "deploy.toml", GOOD | {"project_name": name, "description": description})
    project = tomllib.loads(text)["project"]
    assert (project["name"], project["description"]) == (name, description)


@given(name=TEXT, description=TEXT)
@settings(max_examples=50, deadline=None)
def test_readme_holds_any_text(name: str, description: str) -> None:
    """Whatever the text, the README keeps its headings, links, tables and commands."""
    answers = GOOD | {"project_name": name, "description": description}
    assert shape(render(GENERATED / "README.md", answers)) == shape(render(GENERATED / "README.md", GOOD))


@pytest.mark.parametrize("name", ["pre_gen_project", "post_gen_project"])
def test_hooks_read_any_text(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the text, control characters and all, a hook stays valid Python and reads it back."""
    folder = tmp_path_factory.mktemp("hook")

    @given(answer=st.text(st.characters(exclude_categories=[]), max_size=60))
    @settings(max_examples=150, deadline=None)
    def reads_back(answer: str) -> None:
        answers = GOOD | {"description": answer}
        assert hook(name, answers, folder)["ANSWERS"]["description"] == answer

    reads_back()


@pytest.mark.parametrize("answer", REFUSED_TEXT.values(), ids=REFUSED_TEXT)
def test_text_is_refused_in_one_line(answer: str, tmp_path: Path) -> None:
    """Text that TOML, a terminal or a later update could not take is refused, with what is allowed."""
    [line] = faults(tmp_path, description=answer)
    assert line.startswith("  description: found ")
    assert ", expected " in line
    assert line.isascii()
    assert "\n" not in line


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, answers in REFUSED.items() for a in answers])
def test_names_are_refused_in_one_line(name: str, answer: str, tmp_path: Path) -> None:
    """A name that AWS, GitHub or Windows would refuse is refused here, with what is allowed."""
    [line] = faults(tmp_path, **{name: answer})
    assert line.startswith(f"  {name}: found ")
    assert "\n" not in line


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, answers in ACCEPTED.items() for a in answers])
def test_names_are_accepted(name: str, answer: str, tmp_path: Path) -> None:
    """The longest, the shortest and the unusual names are accepted."""
    assert faults(tmp_path, **{name: answer}) == []


def test_longest_slug_fits_what_is_made_of_it() -> None:
    """The longest names made from a slug are not longer than S3 allows for a bucket, and IAM for a role."""
    assert len(f"{'x' * 29}-production-resized-123456789012") <= 63
    assert len(f"{'x' * 29}-production-function-ap-southeast-1") <= 64


def test_all_bad_answers_are_told_at_once_and_nothing_is_written(template: Template, tmp_path: Path) -> None:
    """One run names every bad answer, ends with a hint, and leaves the folder as it was."""
    result = template.cookiecutter(
        tmp_path,
        project_name=" ",
        project_slug="Bad Slug",
        description="a\nb",
        github_owner="--",
        aws_region="mars",
    )
    assert result.returncode != 0
    told = result.stderr[result.stderr.index("error:") :].splitlines()
    assert told[:7] == [
        "error: these answers cannot be used, nothing was written",
        "  project_name: found ' ', expected 1 to 100 characters",
        "  description: found 'a\\nb', expected one line without control characters",
        "  project_slug: found 'Bad Slug', expected 1 to 29 of a-z, 0-9 and single -, starting with a letter",
        "  github_owner: found '--', expected a GitHub user or organisation: up to 39 of letters, digits"
        " and single -",
        "  aws_region: found 'mars', expected an AWS region such as eu-central-1",
        "  hint: run the same command again with other answers",
    ]
    assert list(tmp_path.iterdir()) == []


def test_refusal_does_not_touch_an_existing_folder(template: Template, tmp_path: Path) -> None:
    """A repository that is already there survives a refused attempt to overwrite it."""
    (tmp_path / "image-resizer").mkdir()
    (tmp_path / "image-resizer" / "mine.txt").write_text("mine")
    command = ["cookiecutter", template.path, "--no-input", "--overwrite-if-exists", "aws_region=mars"]
    assert template.run(*command, cwd=tmp_path).returncode != 0
    assert [path.name for path in (tmp_path / "image-resizer").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("mark", ["{{ cookiecutter.x }}", "${{ github.actor }}", "{% x %}"])
def test_jinja_given_on_the_command_line_fails(mark: str, template: Template, tmp_path: Path) -> None:
    """Jinja that cookiecutter itself would execute ends in its error before anything is written."""
    assert template.cookiecutter(tmp_path, description=mark).returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_jinja_typed_at_the_prompt_is_refused(template: Template, tmp_path: Path) -> None:
    """Jinja that cookiecutter leaves alone today, and would execute in an update, is refused."""
    answers = "\n".join(["", "", "{{ 7 * 7 }}", "", "", "", ""])
    result = template.run("cookiecutter", template.path, "-o", tmp_path, cwd=tmp_path, answers=answers)
    assert "expected text without the opening marks of Jinja" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("project_name", "slug"),
    [
        ("Image Resizer", "image-resizer"),
        ("  Größe & Maß!  ", "grosse-mass"),
        ("3D photos", "app-3d-photos"),
        ("🖼️", "app"),
        ("A very long name that nobody would ever type in full", "a-very-long-name-that-nobody"),
    ],
)
def test_slug_is_derived_from_the_name(
    project_name: str, slug: str, template: Template, tmp_path: Path
) -> None:
    """A slug that is accepted comes out of any name, without being asked for."""
    assert template.generate(tmp_path, project_name=project_name).name == slug
