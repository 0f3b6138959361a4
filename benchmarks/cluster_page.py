"""The measured tables inside docs/clustering.md: rows of one size each."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "clustering.md"
HEAD_LINES = 2


def set_rows(name: str, faces: int, rows: Iterable[str], page: Path = PAGE) -> None:
    """Replaces the rows of one size; other sizes stay as they were measured last.

    ``rows``: the cells after the number of faces, as Markdown. Raises ValueError where the page
    lacks the table's marks.
    """
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    before, found, rest = page.read_text().partition(start)
    table, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no table between the marks of {name}")
    lines = table.split("\n")
    sizes = {size: list(group) for size, group in groupby(lines[HEAD_LINES:], key=_size)}
    sizes[faces] = [f"| {faces:,} | {row} |" for row in rows]
    kept = [line for size in sorted(sizes) for line in sizes[size]]
    page.write_text(before + start + "\n".join(lines[:HEAD_LINES] + kept) + end + after)


def _size(line: str) -> int:
    return int(line.split("|")[1].replace(",", ""))
