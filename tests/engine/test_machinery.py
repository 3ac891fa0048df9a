"""What differs from the template is found, unless the owner adopted it as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deployer import machinery
from deployer.errors import DeployerError
from deployer.machinery import MISSING, Adoption, differences
from generating import GENERATED

FILE = "deployer/canary/decide.py"
A, B, C = "a" * 64, "b" * 64, "c" * 64


def adopted(sha256: str) -> dict[str, Adoption]:
    """Return one entry, for the one file of the tables here."""
    return {FILE: Adoption(FILE, sha256, "we are faster")}


@pytest.mark.parametrize(
    ("manifest", "present", "entries", "line"),
    [
        pytest.param({FILE: A}, {FILE: A}, {}, None, id="as generated"),
        pytest.param({FILE: A}, {FILE: B}, {}, f"changed: {FILE}", id="changed"),
        pytest.param({FILE: A}, {}, {}, f"missing: {FILE}", id="missing"),
        pytest.param({}, {FILE: A}, {}, f"added: {FILE}", id="added"),
        pytest.param({FILE: A}, {FILE: B}, adopted(B), None, id="changed and adopted"),
        pytest.param({FILE: A}, {}, adopted(MISSING), None, id="removed and adopted"),
        pytest.param({}, {FILE: B}, adopted(B), None, id="added and adopted"),
        pytest.param(
            {FILE: A},
            {FILE: C},
            adopted(B),
            f"changed: {FILE}: it was adopted as it was before (we are faster), adopt it again",
            id="changed after it was adopted",
        ),
        pytest.param(
            {FILE: A},
            {},
            adopted(B),
            f"changed: {FILE}: it was adopted as it was before (we are faster), adopt it again",
            id="removed after it was adopted",
        ),
        pytest.param(
            {FILE: A},
            {FILE: A},
            adopted(B),
            f"needless: {FILE}: it is as the template has it, remove its entry from adopted.toml",
            id="back to the template's text",
        ),
        pytest.param(
            {},
            {},
            adopted(B),
            f"needless: {FILE}: it is as the template has it, remove its entry from adopted.toml",
            id="gone here and in the template",
        ),
    ],
)
def test_differences(
    manifest: dict[str, str], present: dict[str, str], entries: dict[str, Adoption], line: str | None
) -> None:
    """Each way in which a file, the manifest and adopted.toml can disagree has its own line."""
    assert differences(manifest, present, entries) == ([line] if line else [])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of the machinery alone, whose environments are not made."""
    for folder in machinery.FOLDERS:
        shutil.copytree(GENERATED / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dev.py", "adopted.toml"):
        shutil.copy2(GENERATED / name, tmp_path / name)
    machinery.write_manifest(tmp_path)
    return tmp_path


def dev(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run its dev.py with a Python that has nothing installed."""
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        "import runpy, sys; runpy.run_path('dev.py', run_name='__main__')",
    ]
    return subprocess.run(
        [*command, *arguments], cwd=checkout, text=True, capture_output=True, encoding="utf-8", check=False
    )


def change(checkout: Path, line: str = "# ours\n") -> None:
    """Append a line to the file that decides."""
    with (checkout / FILE).open("a", encoding="utf-8") as file:
        file.write(line)


def test_a_fresh_repository_is_as_generated(checkout: Path) -> None:
    """Nothing is found in what was just generated, and nothing needs to be installed to see it."""
    result = dev(checkout, "verify")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "verify: the template's files are as generated, 0 adopted\n"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("deployer/errors/__init__.pyc", bytes(16)),
        ("deployer/more.pyc", bytes(16)),
        ("deployer/__pycache__/errors.cpython-311.pyc", b"magi" + b"\1\0\0\0" + bytes(8)),
        ("deployer/__pycache__/errors.cpython-311.pyc", b"magi" + b"\3\0\0\0" + bytes(8)),
        ("deployer/__pycache__/more.py", b""),
        ("deployer/Thumbs.db/more.py", b""),
        ("deployer/sitecustomize.py", b""),
        ("testbed/conftest.py", b""),
        ("deployer/judge/more/deep.so", b""),
        ("rehearsal/.env", b""),
    ],
    ids=[
        "byte-code in place of a module",
        "byte-code beside the sources",
        "byte-code that nothing compares",
        "byte-code compared by a hash it brings itself",
        "a source among byte-code",
        "a source in a folder named like a leftover",
        "what Python imports by itself",
        "what pytest imports by itself",
        "a library in a new folder",
        "a file that git ignores",
    ],
)
def test_code_that_hides_is_found(checkout: Path, path: str, content: bytes) -> None:
    """What Python could run is a difference, whatever its name; only byte-code compared by time is left out."""
    (checkout / path).parent.mkdir(parents=True, exist_ok=True)
    (checkout / path).write_bytes(content)
    assert machinery.verify(checkout)[0] == [f"added: {path}"]


def test_a_machinery_that_cannot_be_loaded_is_one_error(checkout: Path) -> None:
    """When the module that compares fails itself, that is said in three parts."""
    (checkout / "deployer/machinery.py").write_text("1 / 0\n")
    result = dev(checkout, "verify")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: `deployer/machinery.py` cannot be read, so no file of the template can be verified",
        "  found: division by zero",
        "  hint: run `git checkout -- deployer`",
    ]


def test_every_difference_is_listed_and_nothing_else(checkout: Path) -> None:
    """A changed, a missing and an added file are a line each, then comes one error; by-products do not count."""
    change(checkout)
    (checkout / "testbed/watchdog.py").unlink()
    (checkout / "rehearsal/more.py").write_text("")
    (checkout / "rehearsal/report.html").write_text("made by a rehearsal")
    (checkout / "rehearsal/__pycache__").mkdir()
    (checkout / "rehearsal/__pycache__/more.cpython-311.pyc").write_bytes(b"")
    result = dev(checkout, "verify")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "changed: deployer/canary/decide.py",
        "added: rehearsal/more.py",
        "missing: testbed/watchdog.py",
    ]
    assert result.stderr.splitlines() == [
        "error: the template's files are not as they were generated",
        "  found 3 differences, listed above, expected none",
        '  hint: undo with `git checkout`, or keep with `python3 dev.py adopt PATH --reason "..."`',
    ]


def test_line_ends_of_windows_do_not_count(checkout: Path) -> None:
    """A checkout with CRLF is as generated."""
    content = (checkout / FILE).read_bytes()
    (checkout / FILE).write_bytes(content.replace(b"\n", b"\r\n"))
    assert machinery.verify(checkout) == ([], 0)


@pytest.mark.skipif(sys.platform == "win32", reason="making a link there needs rights of its own")
def test_a_link_is_no_file_of_the_template(checkout: Path) -> None:
    """A link is found although it leads to the same text, and a linked folder is found as well."""
    (checkout / FILE).rename(checkout / "decide.py")
    (checkout / FILE).symlink_to("../../decide.py")
    (checkout / "deployer/more").symlink_to("../rehearsal")
    assert machinery.verify(checkout)[0] == [f"changed: {FILE}", "added: deployer/more"]


def test_an_adopted_file_may_differ_until_it_changes_again(checkout: Path) -> None:
    """Adopting makes `verify` content; another change asks for it again; undoing all makes it needless."""
    original = (checkout / FILE).read_bytes()
    change(checkout)
    assert dev(checkout, "adopt", FILE, "--reason", 'a "second" ü').returncode == 0
    assert machinery.verify(checkout) == ([], 1)
    entry = tomllib.loads((checkout / "adopted.toml").read_text("utf-8"))["file"]
    assert entry == [{"path": FILE, "sha256": machinery.hashes(checkout)[FILE], "reason": 'a "second" ü'}]
    change(checkout)
    assert [line[-14:] for line in machinery.verify(checkout)[0]] == ["adopt it again"]
    assert dev(checkout, "adopt", f"./{FILE}", "--reason", "a third").returncode == 0
    assert machinery.verify(checkout) == ([], 1)
    (checkout / FILE).write_bytes(original)
    assert [line.split(":")[0] for line in machinery.verify(checkout)[0]] == ["needless"]


def test_other_entries_and_comments_stay(checkout: Path) -> None:
    """An entry is put in place of the one for its path, and what else is in the file is left alone."""
    change(checkout)
    (checkout / "testbed/more.py").write_text("")
    machinery.adopt(checkout, FILE, "first")
    machinery.adopt(checkout, "testbed/more.py", "ours")
    file = checkout / "adopted.toml"
    file.write_text(file.read_text().replace('"first"\n', '"first"\n# About the next one\n'))
    before = file.read_text()
    machinery.adopt(checkout, FILE, "second")
    changed = before.replace('"first"\n', '"second"\n\n')
    assert file.read_text() == changed
    assert changed.startswith(machinery.HEADER)


@pytest.mark.parametrize(
    ("path", "reason", "error"),
    [
        pytest.param(
            "app/handler.py", "ours", "`app/handler.py` cannot be adopted", id="not the machinery's"
        ),
        pytest.param("../deployer/x.py", "ours", "`../deployer/x.py` cannot be adopted", id="outside"),
        pytest.param("deployer", "ours", "`deployer` cannot be adopted", id="a folder"),
        pytest.param(machinery.MANIFEST, "ours", f"`{machinery.MANIFEST}` cannot be adopted", id="manifest"),
        pytest.param("deployer/model.py", "ours", "`deployer/model.py` cannot be adopted", id="unchanged"),
        pytest.param(FILE, " ", f"`{FILE}` cannot be adopted without a reason", id="no reason"),
        pytest.param(FILE, "a\nb", f"`{FILE}` cannot be adopted without a reason", id="two lines"),
    ],
)
def test_what_cannot_be_adopted_is_refused(path: str, reason: str, error: str, checkout: Path) -> None:
    """A path outside the machinery, an unchanged file and a missing reason are refused, and nothing is written."""
    change(checkout)
    before = (checkout / "adopted.toml").read_text()
    result = dev(checkout, "adopt", path, "--reason", reason)
    first, found, hint = result.stderr.splitlines()
    assert (result.returncode, first) == (1, f"error: {error}")
    assert (found[:8], hint[:8]) == ("  found ", "  hint: ")
    assert (checkout / "adopted.toml").read_text() == before


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        pytest.param("adopted.toml", "[[file]]\npath = 1\n", "missing 2 required", id="half an entry"),
        pytest.param(
            "adopted.toml",
            '[[file]]\npath = "x"\nsha256 = "y"\nreason = ""\n',
            "an entry without path, sha256 or reason: `x`",
            id="no reason",
        ),
        pytest.param("adopted.toml", 'files = ["x"]\n', "the key `files`", id="unknown key"),
        pytest.param(
            "adopted.toml",
            '[[file]]\npath = "x"\nsha256 = "y"\nreason = "z"\n' * 2,
            "two entries for one path",
            id="two entries",
        ),
        pytest.param("adopted.toml", "<<<<<<< ours\n", "Invalid statement", id="an unfinished merge"),
        pytest.param(machinery.MANIFEST, "<<<<<<< ours\n", "a line that is not a hash", id="manifest"),
        pytest.param(machinery.MANIFEST, "", "a line that is not a hash", id="empty manifest"),
    ],
)
def test_what_cannot_be_read_is_one_error(name: str, text: str, found: str, checkout: Path) -> None:
    """A malformed adopted.toml or manifest is told in three parts, and never read as `nothing differs`."""
    (checkout / name).write_text(text)
    result = dev(checkout, "verify")
    first, second, third = result.stderr.splitlines()
    assert (result.returncode, first) == (1, f"error: `{name}` cannot be read")
    assert found in second
    assert third == f"  hint: `git checkout -- {name}` restores the committed one"


def test_a_missing_verifier_is_told_as_such(checkout: Path) -> None:
    """Without the module that compares, `verify` fails with an error of its own."""
    (checkout / "deployer/machinery.py").unlink()
    assert dev(checkout, "verify").stderr.startswith("error: `deployer/machinery.py` cannot be read")


def test_entries_in_another_form_are_not_touched(checkout: Path) -> None:
    """An adopted.toml whose entries are written inline is left alone, with an error."""
    change(checkout)
    inline = 'file = [{ path = "deployer/x.py", sha256 = "y", reason = "z" }]\n'
    (checkout / "adopted.toml").write_text(inline)
    with pytest.raises(DeployerError) as caught:
        machinery.adopt(checkout, FILE, "ours")
    assert caught.value.found == "found entries in another form than `[[file]]`"
    assert (checkout / "adopted.toml").read_text() == inline
