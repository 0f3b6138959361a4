"""clients/memoria.js on the real stack, its types by the real compiler."""

import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memoria.errors import Refused
from memoria.search import refusals
from schemas.documents import calls
from schemas.typescript import method_name
from tests.documents import page

pytestmark = pytest.mark.npm
HERE = Path(__file__).parent
SAMPLE = "every_call.ts"


def test_the_client_has_every_call_and_stays_one_small_file() -> None:
    source = page("clients/memoria.js")
    [listed] = re.findall(r"const CALLS = `(.*?)`", source, re.DOTALL)
    assert {f"memoria_{name}" for name in listed.split()} == set(calls())
    assert len(source.splitlines()) <= 255
    assert not re.search(r"\b(import|require)\b[^\n]*['\"]", source)


def test_every_refusal_of_a_search_has_words() -> None:
    source = page("clients/memoria.js")
    [listed] = re.findall(r"const WORDS = {\n(.*?)\n}", source, re.DOTALL)
    told = {leaf.code for leaf in Refused.__subclasses__() if leaf.__module__ == refusals.__name__}
    assert told - set(re.findall(r"^  (\w+):", listed, re.MULTILINE)) == set()


def test_the_sample_uses_every_call() -> None:
    sample = (HERE / SAMPLE).read_text()
    unused = [name for name in map(method_name, calls()) if f".{name}(" not in sample]
    assert unused == []


@pytest.mark.parametrize("how", ["supabase-js", "url and key"])
def test_every_call_on_the_running_stack(
    folder: Path, node: Callable[..., Any], tsc: Callable[..., None], how: str
) -> None:
    shutil.copy(HERE / SAMPLE, folder)
    tsc(SAMPLE)
    told = node("every_call.js", event=f"event {uuid.uuid4()}", how=how)
    left, top, width, height, *onto = told["drawn"]
    assert onto == [0, 0, 100, 100]
    assert width == pytest.approx(height)  # a square of the photo
    box = told["bbox"]
    assert left <= box["x"] * 600
    assert top <= box["y"] * 400
    assert left + width >= (box["x"] + box["w"]) * 600 - 1e-6
    assert top + height >= (box["y"] + box["h"]) * 400 - 1e-6


def test_with_realtime_it_hardly_asks_and_tells_nothing_twice(
    folder: Path, node: Callable[..., Any]
) -> None:
    shutil.copy(HERE / "watch.js", folder)
    told = node("watch.js")
    news = told["news"]
    assert told["log"] == ["setAuth", "memoria:gala true"]
    happened = [one["event"] for one in news if one["event"] != "error"]
    assert happened == ["progress", "progress", "photo_failed", "people", "photo_failed"]
    assert [one["media_id"] for one in news if one["event"] == "photo_failed"] == ["m2", "m3"]
    assert "id" not in news[1]
    assert told["whileLive"] == 0
    assert {one["error"]["code"] for one in news if one["event"] == "error"} == {"not_found"}
    assert told["afterwards"] == 0
    assert told["removed"] == 1


def test_an_answer_that_was_cut_off_is_no_success(folder: Path, node: Callable[..., Any]) -> None:
    shutil.copy(HERE / "cut_off.js", folder)
    assert node("cut_off.js") == {
        "cut": ["unreachable"] * 2,
        "slow": ["timed_out"],
        "page": ["not_json"] * 2,
        "half": ["not_json"] * 2,
        "broken": ["unavailable"] * 2,
        "empty": [None] * 2,
    }


def test_what_the_database_tells_in_details_reaches_the_app(
    folder: Path, node: Callable[..., Any]
) -> None:
    shutil.copy(HERE / "details.js", folder)
    assert node("details.js") == {
        "consent": [["consent_required", {"code": "consent_required"}]] * 2,
        "merged": [["conflict", {"is_now": "p1", "name": "Ann"}]] * 2,
        "words": [["invalid_request", {}]] * 2,
        "number": [["conflict", {}]] * 2,
        "nothing": [["not_found", {}]] * 2,
    }
