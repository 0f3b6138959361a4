"""The documentation as data: its links, anchors, tables and the commands that it names."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def tracked() -> list[Path]:
    """Every file that git would take, also where a source archive has no ``.git``."""
    with TemporaryDirectory() as empty:
        subprocess.run(["git", "init", "--quiet", "--bare", empty], check=True)
        git = ["git", f"--git-dir={empty}", "--work-tree=."]
        listed = subprocess.run(
            [*git, "ls-files", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines()]


def documents() -> list[Path]:
    """Every page of Markdown."""
    return [path for path in tracked() if path.suffix == ".md"]


def page(name: str) -> str:
    """The text of a page, by its path from the root."""
    return (ROOT / name).read_text()


def links(text: str) -> list[tuple[str, str]]:
    """Relative links as (path, anchor); a link into the same page has an empty path."""
    found = (link.partition("#") for link in _LINK.findall(_FENCE.sub("", text)))
    return [(path, anchor) for path, _, anchor in found if ":" not in path]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    made: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = sum(
            1 for one in made if one == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", one)
        )
        made.add(f"{slug}-{count}" if count else slug)
    return made


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    yield from (f"{slug}-{number}" for number in count(1))


def code(text: str) -> Iterator[str]:
    """Lines of code blocks, and what stands between backticks."""
    for block in _FENCE.finditer(text):
        yield from block[0].splitlines()[1:-1]
    rest = _FENCE.sub("", text)
    for line in rest.splitlines():
        if line.startswith("    ") and not line.lstrip().startswith(("-", "|")):
            yield line.strip()
    yield from _INLINE.findall(rest)


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, as cells without their head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    lines = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert lines is not None, heading
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[0].splitlines()]
    return [[cell.strip() for cell in row] for row in cells[2:]]


def names(cell: str) -> list[str]:
    """What stands between backticks in a cell."""
    return _INLINE.findall(cell)
