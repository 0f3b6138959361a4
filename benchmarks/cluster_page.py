"""The measured tables inside docs/clustering.md and other pages."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "clustering.md"
HEAD_LINES = 2


def set_table(name: str, text: str, page: Path = PAGE) -> None:
    """Replaces what stands between the page's marks of this name.

    Raises ValueError where the page lacks them.
    """
    before, _, after = _parts(name, page)
    page.write_text(f"{before}{text}{after}")


def set_rows(name: str, faces: int, rows: Iterable[str], page: Path = PAGE) -> None:
    """Replaces the rows of one size; other sizes stay as they were measured last.

    ``rows``: the cells after the number of faces, as Markdown. Raises ValueError as set_table.
    """
    before, table, after = _parts(name, page)
    lines = table.split("\n")
    sizes = {size: list(group) for size, group in groupby(lines[HEAD_LINES:], key=_size)}
    sizes[faces] = [f"| {faces:,} | {row} |" for row in rows]
    kept = [line for size in sorted(sizes) for line in sizes[size]]
    page.write_text(before + "\n".join(lines[:HEAD_LINES] + kept) + after)


def _parts(name: str, page: Path) -> tuple[str, str, str]:
    """What comes before a table, the table, and what follows; marks and line breaks are outside."""
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    before, found, rest = page.read_text().partition(start)
    table, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no marks {start.strip()} and {end.strip()}")
    return before + start, table, end + after


def _size(line: str) -> int:
    return int(line.split("|")[1].replace(",", ""))
