"""The published JSON Schemas, read from their files.

Each file's ``$defs`` holds what one subject answers. The answer of an SQL function is the
definition of its name; the arguments of one that apps call are ``NAME_arguments``.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
FOLDER = Path(__file__).parent
ARGUMENTS = "_arguments"
_PREFIX = "memoria_"


@cache
def documents() -> dict[str, Schema]:
    """Subject -> its file, for instance ``reading`` -> schemas/reading.json."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def definitions() -> list[tuple[str, str, Schema]]:
    """Every definition as (subject, name, schema)."""
    return [
        (subject, name, schema)
        for subject, document in documents().items()
        for name, schema in document["$defs"].items()
    ]


@cache
def functions() -> dict[str, str]:
    """Every SQL function whose answer is published -> the subject that it stands in."""
    return {
        name: subject
        for subject, name, _ in definitions()
        if name.startswith(_PREFIX) and not name.endswith(ARGUMENTS)
    }


@cache
def calls() -> dict[str, Schema]:
    """Every SQL function that apps call -> the schema of its arguments."""
    return {
        name.removesuffix(ARGUMENTS): schema
        for _, name, schema in definitions()
        if name.startswith(_PREFIX) and name.endswith(ARGUMENTS)
    }
