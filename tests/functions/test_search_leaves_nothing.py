"""What a search leaves behind: nothing of the picture, its vector or the token, anywhere."""

import base64
import compileall
import io
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
from PIL import Image

from local.processes.stack import Stack
from memoria.arrays import F32
from memoria.faces import find_faces_in_photo, open_engine
from memoria.faces.types import nearest_to_centre
from tests.data import PORTRAITS, SMALL_PACK, needs
from tests.documents import ROOT
from tests.functions.party import Party, sql

pytestmark = needs(SMALL_PACK, PORTRAITS)
NUMBERS = 6  # of a vector in a row: they may differ in their last digits


def of_bytes(data: bytes) -> Iterator[bytes]:
    """Patterns for a piece of data as it is, in hex and in base64."""
    yield re.escape(data)
    yield b"(?i:" + data.hex().encode() + b")"
    for shift in range(3):
        inside = base64.b64encode(b"\0" * shift + data)[4:-4]
        yield re.escape(inside)


def of_vector(vector: F32) -> Iterator[bytes]:
    """Patterns for a row of a vector's numbers: as text, and as floats of either byte order."""
    row = [float(value) for value in vector[:NUMBERS]]
    text = [re.escape(f"{value:.5f}"[:-1]) + r"\d*(e-\d+)?" for value in row]
    yield r",\s*".join(text).encode()
    for order, some in ((">", slice(0, 2)), ("<", slice(2, 4))):
        packed = [re.escape(struct.pack(order + "f", value)[some]) for value in row]
        yield (b".." if order == "<" else b"") + b"..".join(packed)


def found(patterns: Iterable[bytes], data: bytes) -> list[bytes]:
    return [one for one in patterns if re.search(one, data, re.DOTALL)]


@pytest.fixture(scope="module")
def selfie(party: Party) -> bytes:
    """Over 500 kB: a form parser that writes files would write this one."""
    image = Image.open(io.BytesIO(party.selfies[0])).convert("RGB")
    large = io.BytesIO()
    image.resize((1200, 1200)).save(large, "PNG")
    assert large.tell() > 500_000
    return large.getvalue()


def places(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every file of database, storage and logs, every row as text, and the metrics."""
    with_secret = {"Authorization": f"Bearer {stack.webhook_secret}"}
    metrics = httpx.get(f"{stack.process_url}/metrics", headers=with_secret, trust_env=False)
    yield "metrics", metrics.content
    for folder in (stack.folder, stack.postgres.data_dir):
        for path in Path(folder).rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def test_nothing_is_left_behind(party: Party, selfie: bytes, writes: Path) -> None:
    stack, token = party.stack, party.link()
    (face,) = sql(party.stack, "select embedding::text from memoria.faces order by id limit 1")
    stored = np.array(face[0][1:-1].split(","), dtype=np.float32)
    faces, *_ = find_faces_in_photo(open_engine(SMALL_PACK, threads=1), selfie)
    vector = nearest_to_centre(faces).embedding
    compileall.compile_dir(ROOT / "shared" / "memoria", quiet=2)  # else Python writes them
    before = writes.read_text()

    trace = {"X-Cloud-Trace-Context": "0123456789abcdef0123456789abcdef/1;o=1"}
    done = party.search(token, selfie, guest="one", headers=trace)
    assert done.json()["outcome"] == "found", done.text
    assert party.again(done.json()["search_id"], token, "one").status_code == 200
    assert party.search(token, selfie[:60_000], headers=trace).status_code == 422
    assert party.search(token, selfie, consent="0", headers=trace).status_code == 403

    assert writes.read_text() == before, "a file was opened for writing"
    admin = stack.postgres.url_of("postgres", "supabase_admin")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("checkpoint")
    middle = len(selfie) // 2
    wanted = [
        *of_bytes(token.encode()),
        *(one for at in (middle, middle + 5000) for one in of_bytes(selfie[at : at + 24])),
        *of_vector(vector),
    ]
    control = list(of_vector(stored))
    controls = 0
    for place, data in places(stack):
        assert found(wanted, data) == [], place
        controls += bool(found(control, data))
    assert controls, "the vectors of the photos are in the database, and would have been found"
    assert "0123456789abcdef" in (stack.folder / "process.log").read_text()
