"""What the documentation names is there: links, anchors, files, commands."""

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from memoria.cli import COMMANDS
from tests.documents import ROOT, anchors, code, documents, links, page, tracked

PAGES = pytest.mark.parametrize(
    "document", documents(), ids=lambda path: str(path.relative_to(ROOT))
)
MADE = re.compile(r"`([^`\n]+)`:\n\n```")  # what a reader writes: its content follows
FILE = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|sql|sh|md|ts|json|toml|yaml|html|txt|in)")


@PAGES
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    targets = {path for path, _ in links(document.read_text()) if path}
    assert [path for path in sorted(targets) if not (document.parent / path).exists()] == []


@PAGES
def test_every_anchor_is_a_heading(document: Path) -> None:
    wrong = []
    for path, anchor in links(document.read_text()):
        target = document.parent / path if path else document
        if anchor and anchor not in anchors(target.read_text()):
            wrong.append(f"{path}#{anchor}")
    assert wrong == []


@PAGES
def test_every_file_that_is_named_exists(document: Path) -> None:
    known = [f"/{path.relative_to(ROOT)}" for path in tracked()]
    named = {text for text in code(document.read_text()) if FILE.fullmatch(text)}
    named -= {"people.json", "index.html", "out/people.json", "out/index.html"}  # the demo's
    named -= set(MADE.findall(document.read_text()))
    paths = {name.removeprefix("./") for name in named}
    assert [name for name in paths if not any(one.endswith(f"/{name}") for one in known)] == []


@PAGES
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    named = {
        target
        for text in code(document.read_text())
        for target in re.findall(r"^(?:.*&& )?make ([a-z-]+)", text)
    }
    assert named <= targets


@PAGES
def test_every_module_that_is_run_exists_and_takes_its_options(document: Path) -> None:
    wrong = []
    for text in code(document.read_text()):
        for module, rest in re.findall(r"python3? -m ([\w.]+)([^`|#]*)", text):
            source = _source(module)
            if module.partition(".")[0] in sys.stdlib_module_names:
                continue
            if source is None or not all(option in source for option in _options(rest)):
                wrong.append(text)
    assert wrong == []


@PAGES
def test_every_memoria_command_exists_and_takes_its_options(document: Path) -> None:
    wrong = []
    for text in code(document.read_text()):
        for command, rest in re.findall(r"^(?:\S*/)?memoria ([a-z][a-z-]*)([^`|#]*)", text):
            source = (
                page(f"shared/memoria/cli/{command.replace('-', '_')}.py")
                if command in COMMANDS
                else None
            )
            if source is None or not all(option in source for option in _options(rest)):
                wrong.append(text)
    assert wrong == []


@PAGES
def test_every_option_of_deploy_exists(document: Path) -> None:
    script = page("deploy.sh") + "".join(
        path.read_text() for path in (ROOT / "deploy").glob("*.sh")
    )
    wrong = [
        text
        for text in code(document.read_text())
        for rest in re.findall(r"\./deploy\.sh([^`|#]*)", text)
        if not all(option in script for option in _options(rest))
    ]
    assert wrong == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"memoria {command}" in page("README.md")


def _options(rest: str) -> list[str]:
    return [option for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest) if option != "--help"]


def _source(module: str) -> str | None:
    """The text of a module that `python -m` would run; of a package, its __main__."""
    path = ROOT.joinpath(*module.split("."))
    for base in (path, ROOT / "shared" / path.relative_to(ROOT)):
        for file in (base.with_suffix(".py"), base / "__main__.py"):
            if file.exists():
                return file.read_text() + _imported(file)
    top = module.partition(".")[0]
    foreign = not (ROOT / top).exists() and not (ROOT / "shared" / top).exists()
    return "--" if foreign and importlib.util.find_spec(top) else None


def _imported(main: Path) -> str:
    """The modules beside a __main__ that hold its command line."""
    if main.name != "__main__.py":
        return ""
    beside = {
        node.module
        for node in ast.walk(ast.parse(main.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    paths = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in beside]
    return "".join(path.read_text() for path in paths if path.exists())


def test_decisions_have_one_format_and_stand_in_the_index() -> None:
    index = page("docs/decisions/README.md")
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        number = path.name[:4]
        form = rf"# {number} (.+)\n\n\d{{4}}-\d\d-\d\d(?:, changed \d{{4}}-\d\d-\d\d)?\n\n"
        head = re.match(form, path.read_text())
        assert head, f"{path.name}: number and title, then the date, as in the others"
        assert f"- [{number} {head[1]}]({path.name})" in index
        assert f"## {number[:2]}xx " in index
