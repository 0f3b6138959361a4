"""A guest's form is read in memory, within limits, fields first."""

import io

import pytest

from memoria.errors import InvalidRequest
from memoria.search.form import MAX_PICTURE_BYTES, SelfieForm
from memoria.search.refusals import SelfieTooLarge

Part = tuple[str, bytes, bool]  # name, content, whether it is a file
TYPE = "multipart/form-data; boundary=edge"


def body(*parts: Part, end: bytes = b"--edge--\r\n") -> io.BytesIO:
    written = b""
    for name, content, is_file in parts:
        kind = f'; filename="{name}.jpg"' if is_file else ""
        head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'
        written += head.encode() + content + b"\r\n"
    return io.BytesIO(written + end)


def form(*parts: Part, end: bytes = b"--edge--\r\n") -> SelfieForm:
    return SelfieForm(TYPE, body(*parts, end=end).read)


def read(stream: io.BytesIO) -> tuple[dict[str, str], list[bytes]]:
    one = SelfieForm(TYPE, stream.read)
    return one.fields(), one.pictures()


def test_fields_and_pictures_come_apart() -> None:
    one = form(
        ("consent", b"1", False),
        ("guest", "Zoë".encode(), False),
        ("image", b"x" * 300_000, True),
        ("image", b"y", True),
    )
    assert one.fields() == {"consent": "1", "guest": "Zoë"}
    assert one.pictures() == [b"x" * 300_000, b"y"]


def test_no_picture_is_read_before_it_is_asked_for() -> None:
    stream = body(("consent", b"1", False), ("image", b"x" * 9_000_000, True))
    SelfieForm(TYPE, stream.read).fields()
    assert stream.tell() <= 1 << 18


@pytest.mark.parametrize("size", [MAX_PICTURE_BYTES, MAX_PICTURE_BYTES + 1])
def test_a_picture_has_a_limit(size: int) -> None:
    one = form(("consent", b"1", False), ("image", b"x" * size, True))
    one.fields()
    if size == MAX_PICTURE_BYTES:
        assert len(one.pictures()[0]) == size
    else:
        with pytest.raises(SelfieTooLarge, match="10 MB"):
            one.pictures()


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ([("consent", b"1", False)], "image"),
        ([("image", b"", True)], "image"),
        ([("image", b"x", True)] * 4, "at most 3"),
        ([("image", b"x", True), ("consent", b"1", False)], "fields come before"),
        ([("consent", b"1", False), ("consent", b"2", False)], "consent"),
        ([("token", b"1", False)], "token"),
        ([("consent", b"\xff", False), ("image", b"x", True)], "UTF-8"),
        ([("guest", b"g" * 5000, False), ("image", b"x", True)], "guest: is over"),
        ([("image", b"x", True)] * 17, "at most 3"),
        ([("a" * 300_000, b"x", True)], "too long"),
    ],
)
def test_other_forms_are_refused_by_name(parts: list[Part], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        read(body(*parts))


def test_a_form_that_is_cut_off_is_refused() -> None:
    whole = body(("consent", b"1", False), ("image", b"x" * 1000, True)).getvalue()
    for length in range(0, len(whole) - 6, 7):
        with pytest.raises(InvalidRequest):
            read(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=edge"]
)
def test_other_kinds_of_body_are_refused(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="multipart/form-data"):
        SelfieForm(kind, io.BytesIO().read)
