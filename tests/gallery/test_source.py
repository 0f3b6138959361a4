"""The app's files: short, no text and no class that nobody uses, and others' code as it came."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from memoria.media.names import SUFFIXES
from tests.documents import ROOT
from tests.gallery.conftest import Visit

APP = ROOT / "examples" / "gallery"
VENDOR = APP / "vendor"
FILES = [path for path in APP.rglob("*") if path.is_file() and VENDOR not in path.parents]
CODE = [path.read_text() for path in FILES if path.suffix == ".js" and path.stem != "texts"]
MARKUP = "\n".join(CODE + [path.read_text() for path in APP.glob("*.html")])
Name = tuple[str, ...]


def test_the_app_stays_short() -> None:
    """What one reads: the code of others in ``vendor/`` is not part of it."""
    lines = [line for path in FILES for line in path.read_text().splitlines()]
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 3015


def test_the_code_of_others_is_as_it_came() -> None:
    sums = dict(line.split()[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    assert {path.name for path in VENDOR.iterdir()} == set(sums) | {"README.md", "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
        assert f"{name.split('.')[0]}.LICENSE" in sums


def test_it_takes_the_photos_that_the_server_reads() -> None:
    [listed] = re.findall(r"const PICTURES = new Set\(`(.*?)`", MARKUP, re.DOTALL)
    assert {f".{ending}" for ending in listed.split()} == SUFFIXES


@pytest.mark.system
def test_every_text_is_said_and_every_text_that_is_said_is_there(host: Visit) -> None:
    page = host.open("guest.html")
    told = page.evaluate(
        "import('/gallery/texts.js').then(({ texts }) => JSON.stringify(texts,"
        " (name, text) => typeof text === 'function' ? 'text' : text))"
    )
    there = set(_leaves(json.loads(told)))
    said = {name for code in CODE for name in _said(code)}
    assert {name for name in there if not any(_within(name, one) for one in said)} == set()
    assert {one for one in said if not any(_within(name, one) for name in there)} == set()


def _leaves(texts: Any, name: Name = ()) -> Iterator[Name]:
    if not isinstance(texts, dict):
        yield name
        return
    for key, value in texts.items():
        yield from _leaves(value, (*name, key))


def _said(code: str) -> Iterator[Name]:
    """Names of texts, or of groups of them: ``const { guest: words } = texts`` is followed."""
    known: dict[str, Name] = {"texts": ()}
    for names, group in re.findall(r"const \{ ([\w:, ]+) \} = texts((?:\.\w+)*)", code):
        for one in names.split(", "):
            key, _, alias = one.partition(": ")
            known[alias or key] = (*group.split(".")[1:], key)
            if group:  # not a group: the texts themselves
                yield known[alias or key]
    for name, path in re.findall(rf"(?<![\w.])({'|'.join(known)})((?:\.\w+)+)", code):
        if path != ".js":
            yield (*known[name], *path.split(".")[1:])


def _within(name: Name, said: Name) -> bool:
    """Whether it is that text, or in that group; of a list, what it can do follows its name."""
    return all(one == other for one, other in zip(name, said, strict=False))


def test_every_class_has_a_style_and_every_style_a_class() -> None:
    style = re.sub(r"\{[^{}]*\}", "", (APP / "style.css").read_text())
    styled = set(re.findall(r"\.([a-z][\w-]*)", style))
    strings = " ".join(re.findall(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`]*`", MARKUP))
    assert styled - set(re.findall(r"[a-z][\w-]*", strings)) == set()
    made = re.findall(r"\bh\('\w+((?:\.[\w-]+)+)'", MARKUP)
    made += re.findall(r"\bclass(?:=|: )['\"`]([\w -]+)['\"`]", MARKUP)
    assert set(re.findall(r"[\w-]+", " ".join(made))) - styled == set()
