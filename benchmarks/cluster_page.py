"""The measured tables inside docs/clustering.md."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "clustering.md"


def set_table(name: str, text: str, page: Path = PAGE) -> None:
    """Replaces what stands between the page's marks of this name.

    Raises ValueError where the page lacks them.
    """
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.read_text().partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no marks {start} and {end}")
    page.write_text(f"{before}{start}\n{text}\n{end}{after}")
