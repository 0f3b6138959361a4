"""Whatever a command is given, and whoever answers it: one sentence, and no traceback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from memoria.cli import main
from memoria.store import client

ANSWERS = {
    "html": (200, b"<html>Welcome</html>"),
    "another service's JSON": (200, b'{"hello": "you"}'),
    "a list": (200, b"[1]"),
    "a text": (200, b'"you"'),
    "an empty line": (200, b"\n"),
    "no text": (200, b"\xff\xfe\x00"),
    "an error of its own": (500, b'{"error": "no"}'),
    "an error in words": (500, b"Internal Server Error"),
    "not found": (404, b'{"message": "no such path"}'),
}
ASKING = [
    ["doctor"],
    ["status"],
    ["status", "--json"],
    ["backfill", "table:photos", "--event", "e", "--bucket", "b"],
    ["backfill", "storage://photos", "--event", "e"],
    ["backfill", "photos.csv"],
    ["migrate-model", "e"],
    ["migrate-model", "e", "--model", "yunet_sface1"],
    ["search", "e", "photos.csv"],
    ["search", "e", "photos.csv", "--json"],
]


class Somebody:
    """Answers everything alike, and remembers who asked with which secret."""

    def __init__(self) -> None:
        self.status, self.body = ANSWERS["html"]
        self.asked: list[str] = []
        somebody = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                somebody.asked.append(self.headers.get("authorization", ""))
                self.send_response(somebody.status)
                self.send_header("content-length", str(len(somebody.body)))
                self.end_headers()
                self.wfile.write(somebody.body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of odd files, where nothing is set."""
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "SEARCH_URL", "WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(client, "_PAUSES_SECONDS", ())
    (tmp_path / "folder" / "supabase").mkdir(parents=True)
    (tmp_path / "folder" / "supabase" / "config.toml").write_bytes(b"name = 'caf\xe9'")
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    (tmp_path / "deep").write_text("[" * 100_000)
    (tmp_path / "photos.csv").write_text("event_id,bucket,path\ne,b,p.jpg\n")
    return tmp_path


@pytest.fixture
def somebody(place: Path) -> Iterator[Somebody]:
    """Where .env says that Supabase and the search are."""
    served = Somebody()
    variables = {
        "SUPABASE_URL": served.url, "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_of_the_file",
        "SEARCH_URL": served.url, "WEBHOOK_SECRET": "secret-of-the-file", "CALLBACK_URL": "off",
    }  # fmt: skip
    lines = (f"{name}={value}\n" for name, value in variables.items())
    (place / ".env").write_text("".join(lines))
    yield served
    served.server.shutdown()
    served.server.server_close()


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The last line that a command says."""
    assert main(words) in (1, 2), words
    told = capsys.readouterr()
    return (told.out + told.err).splitlines()[-1]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_who_answers_something_else_is_told_in_a_sentence(
    somebody: Somebody, words: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    somebody.status, somebody.body = ANSWERS[answer]
    assert refused(words, capsys).startswith(("memoria: ", "wrong  database: "))


DOCTOR = {
    "postgres": "17.4", "migrations": [], "extensions": {}, "pg_net": True, "vault": True,
    "cron": None, "last_nudges": [], "settings": {"webhook_secret": "set"},
}  # fmt: skip


@pytest.mark.parametrize("url", ["http://[::1", f"http://{'a' * 64}.example", "nowhere", "x\0y"])
def test_a_functions_url_that_is_none_is_told_by_the_doctor(
    somebody: Somebody, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"process_url": url, "cluster_url": url}
    somebody.body = json.dumps(DOCTOR | {"settings": settings}).encode()
    assert main(["doctor", "--no-probe"]) == 1
    told = capsys.readouterr().out
    assert f"wrong  process: {url} does not answer" in told
    assert f"wrong  cluster: {url} does not answer" in told
    assert told.splitlines()[-1] == "ok     callback: off"


@pytest.mark.parametrize("field", DOCTOR)
def test_an_answer_without_what_the_doctor_reads_is_not_memorias(
    somebody: Somebody, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    somebody.body = json.dumps({k: v for k, v in DOCTOR.items() if k != field}).encode()
    assert "not as Memoria's memoria_doctor does" in refused(["doctor", "--no-probe"], capsys)


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_every_command_reads_the_env_file(
    somebody: Somebody, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(words, capsys)
    secret = "secret-of-the-file" if words[0] == "search" else "sb_secret_of_the_file"
    assert somebody.asked[0] == f"Bearer {secret}"


@pytest.mark.parametrize("name", ["missing", "folder", "latin", "deep", ""])
@pytest.mark.parametrize(
    "words",
    [
        ["calibrate", "folder", "--model-dir", "folder", "--labels"],
        ["calibrate", "folder", "--labels", "photos.csv", "--model-dir"],
        ["search", "e"],
        ["migrate-model", "--events"],
        ["backfill", "photos.csv", "--journal"],
        ["supabase", "install"],
        ["supabase", "upgrade"],
    ],
    ids=" ".join,
)
def test_a_file_that_is_none_is_told_in_a_sentence(
    somebody: Somebody, words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused([*words, name], capsys).startswith("memoria: ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["migrate-model", "--events", "missing"], "missing: No such file or directory"),
        (["search", "e", "folder"], "folder: Is a directory"),
        (["migrate-model", "--events", "latin"], "latin is no text in UTF-8"),
        (["calibrate", ".", "--labels", "deep", "--model-dir", "."], "deep is no JSON"),
        (["supabase", "install", "folder"], "supabase/config.toml is no text in UTF-8"),
        (["backfill", "photos.csv", "--journal", "folder"], "folder: Is a directory"),
        (["backfill", "storage://", "--event", "e"], "storage:// names nothing"),
        (["backfill", "table:"], "table: names nothing"),
        (["search", "e", "photos.csv", "--url", "nowhere"], "nowhere does not answer"),
        (["search", "e", "photos.csv", "--url", "http://xn--\u00fc"], "does not answer"),
        (["search", "e", "photos.csv", "--url", f"http://{'a' * 64}.example"], "does not answer"),
        (["migrate-model", "\udcff", "--model", "m"], "a name that is not UTF-8"),
    ],
)
def test_the_sentence_names_what_is_wrong(
    somebody: Somebody, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(words, capsys)


def test_the_address_of_another_service_is_named(
    somebody: Somebody, capsys: pytest.CaptureFixture[str]
) -> None:
    somebody.status, somebody.body = ANSWERS["another service's JSON"]
    for words in (["status"], ["search", "e", "photos.csv"]):
        assert somebody.url in refused(words, capsys)


@pytest.mark.parametrize("words", [["doctor"], ["status"], ["backfill", "photos.csv"]])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"message": "Invalid API key", "hint": "Double check"}, "does not accept "),
        ({"message": "Invalid authentication credentials"}, "does not accept "),
        ({"code": "PGRST303", "message": "JWT issued at future"}, "does not accept "),
        ({"code": "42501", "message": "denied"}, "the key may not call our functions; "),
    ],
)
def test_a_key_that_is_none_of_the_services_is_named(
    somebody: Somebody, words: list[str], body: dict[str, str], sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    somebody.status, somebody.body = 401, json.dumps(body).encode()
    assert f"{sentence}SUPABASE_SERVICE_ROLE_KEY" in refused(words, capsys)


def test_an_event_that_is_not_there_is_named(
    somebody: Somebody, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    somebody.status, somebody.body = 404, b'{"code": "PT404", "message": "No such event."}'
    words = ["migrate-model", "nosuch", "--model", "m"]
    monkeypatch.setattr(client, "_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    assert "there is no event nosuch" in refused(words, capsys)
    assert len(somebody.asked) == 1  # it does not come to be there within four seconds


@pytest.mark.parametrize(
    "several", [{}, {"faces": []}, {"faces": [{"x": 0, "y": 0, "w": 1, "h": 1}]}]
)
def test_what_a_search_refuses_is_said(
    somebody: Somebody, several: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "several_faces", "message": "choose one", **several}
    somebody.status, somebody.body = 422, json.dumps({"error": error}).encode()
    assert "several_faces: choose one" in refused(["search", "e", "photos.csv"], capsys)


@pytest.mark.parametrize("number", ["-1", "0", "nan", "inf", "soon"])
@pytest.mark.parametrize(
    "words", [["status", "--watch"], ["doctor", "--wait"], ["migrate-model", "e", "--stuck"]]
)
def test_a_time_that_is_none_is_refused(words: list[str], number: str) -> None:
    with pytest.raises(SystemExit):
        main([*words, number])


def test_the_help_of_search_names_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["search", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "sure or maybe, the confidence (0 to 1) in who it is, media_id, and where" in told


def test_a_search_tells_where_each_photo_lies(
    somebody: Somebody, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = "http://127.0.0.1/storage/v1/object/sign/photos/party/a%20b.jpg?token=x"
    photos = [
        {"media_id": "m1", "band": "sure", "url": signed},
        {"media_id": "m2", "band": "maybe", "url": None},
    ]
    match = {"band": "sure", "confidence": 0.99, "photos": photos}
    somebody.status, somebody.body = 200, json.dumps({"matches": [match]}).encode()
    assert main(["search", "e", "photos.csv"]) == 0
    told = capsys.readouterr().out
    assert told == "sure\t0.99\tm1\tphotos/party/a b.jpg\nmaybe\t0.99\tm2\t\n"
