"""What the demo counts, in words, for the terminal and the page."""

from typing import Any


def numbered(count: int, one: str, many: str = "") -> str:
    """``1 photo``, ``2 photos``."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def why_nobody(answer: dict[str, Any], least: int) -> str:
    """Why ``people.json`` holds nobody; empty where it holds somebody, or no photo.

    ``least`` is MIN_CLUSTER_SIZE.
    """
    photos = answer["photos"].values()
    if answer["people"] or not photos:
        return ""
    if any(photo["faces"] for photo in photos):
        return f"Nobody was found: a person needs {numbered(least, 'photo')} (MIN_CLUSTER_SIZE)."
    if all("error" in photo for photo in photos):
        return "Nobody was found: no photo could be looked at."
    return "Nobody was found: no faces were found in these photos."
