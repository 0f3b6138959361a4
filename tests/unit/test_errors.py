"""The tree at the head of errors.py is the tree of the classes."""

import re

from memoria import errors
from memoria.errors import MemoriaError

_BRANCH = re.compile(r"    (?P<indent>[│ ]*)[├└]── (?P<name>[A-Z]\w+)\b")


def drawn() -> dict[str, str]:
    """Each class of the drawing -> the one above it."""
    above, found = {0: "MemoriaError"}, {}
    for line in (errors.__doc__ or "").splitlines():
        if branch := _BRANCH.match(line):
            depth = len(branch["indent"]) // 4
            above[depth + 1] = branch["name"]
            found[branch["name"]] = above[depth]
    return found


def test_the_drawing_has_every_class_below_its_own_base() -> None:
    classes = {
        name: error.__bases__[0].__name__
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, MemoriaError) and error is not MemoriaError
    }
    assert drawn() == classes
