"""A row of the database as JSON shows it."""

from collections.abc import Mapping
from typing import Any

_AS_THEY_ARE = (str, int, list, dict, type(None))


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Moments in ISO 8601, ids and whatever else as text."""
    return {name: v if isinstance(v, _AS_THEY_ARE) else _text(v) for name, v in row.items()}


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
