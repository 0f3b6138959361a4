"""What a guest is answered, whatever becomes of the bookkeeping."""

import logging

import pytest

from memoria.errors import InvalidRequest, MemoriaError, StoreUnavailable
from memoria.faces.types import PhotoFaces
from memoria.search.likeness import Rule
from memoria.search.refusals import NoFace
from memoria.search.request import Seeker
from memoria.search.run import SearchPipeline

RULE = Rule(shared=0.5, dimensions=60, demand=6, slope=1.3, belongs=0.4, source="a test")


class Store:
    """Begins a search, and cannot note why it is refused."""

    def __init__(self, trouble: MemoriaError) -> None:
        self.trouble = trouble

    def begin(self, *_: object) -> tuple[str, str]:
        return "a search", "an event"

    def refuse(self, *_: object) -> None:
        raise self.trouble


@pytest.mark.parametrize(
    "trouble", [StoreUnavailable("no answer"), InvalidRequest("no such value")], ids=str
)
def test_a_refusal_is_told_though_it_cannot_be_noted(
    trouble: MemoriaError, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = SearchPipeline(
        store=Store(trouble),  # type: ignore[arg-type]
        find_faces=lambda _: PhotoFaces([], 640, 480, "a pack"),
        fetch_url=lambda _: b"",
        sign_urls=lambda photos: [None for _ in photos],
        rule=RULE,
        least=0.5,
        model="a pack",
    )
    with caplog.at_level(logging.INFO), pytest.raises(NoFace):
        pipeline.run(Seeker(token_hash="0" * 64, guest="g"), "1", lambda: [b"a picture"], None)
    (entry,) = (record for record in caplog.records if record.message == "refusal_not_noted")
    assert entry.__dict__["facts"] == {"code": "no_face", "error": trouble.code}
