import argparse
import json
from collections.abc import Iterator

import psycopg
import pytest

from local.processes.stack import Stack, StackOptions
from memoria.cli import status
from memoria.contracts import Json


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    without = frozenset({"process", "cluster", "cron", "pg_net"})
    with Stack(StackOptions(without=without)) as stack:
        yield stack


@pytest.fixture
def environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("SUPABASE_URL", stack.supabase_url)
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", stack.keys.secret)
    return stack


def show(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    status.add_parser(parser.add_subparsers())
    return status.run(parser.parse_args(["status", *arguments]))


def test_what_a_newer_database_tells_besides_is_passed_over() -> None:
    """memoria/agreement.py: a key more is a change that we need not know."""
    more = {"more": 1}
    room = {"now": 0, "most": 4} | more
    told: Json = {
        "queue": [], "oldest_waiting": [], "outages": [], "failures": [],
        "in_flight": dict.fromkeys(("process", "cluster", "callback", "later"), room),
        "archived": {"photos": 2, "events": 1} | more,
    }  # fmt: skip
    assert "Not looked at: 2 photos of an archived event" in "\n".join(status.report(told | more))


def test_it_shows_an_empty_queue_then_work_and_failures(
    environment: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show() == 0
    shown = capsys.readouterr().out
    assert "Nothing is waiting." in shown
    assert "Nothing has failed." in shown

    client = environment.client()
    sent = {"p_media_id": "m1", "p_event_id": "party", "p_bucket": "photos", "p_path": "m1.jpg"}
    job = client.rpc("memoria_enqueue", sent).execute().data["job_id"]
    claim = (
        client.rpc("memoria_claim", {"p_kind": "process", "p_job_id": job, "p_event_id": "party"})
        .execute()
        .data
    )
    failure = {
        "p_job_id": job, "p_token": claim["token"], "p_code": "unreadable_media",
        "p_message": "No decoder makes sense of it.", "p_policy": "terminal",
    }  # fmt: skip
    client.rpc("memoria_fail", failure).execute()

    assert show() == 1
    shown = capsys.readouterr().out
    assert "unreadable_media" in shown
    assert "No decoder makes sense of it." in shown

    assert show("--json") == 1
    assert json.loads(capsys.readouterr().out)["failures"][0]["code"] == "unreadable_media"


def test_a_photo_that_came_to_an_archived_event_is_told_of(
    environment: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    client = environment.client()
    with psycopg.connect(environment.database_url) as database:
        database.execute(
            "create table public.pictures (id text primary key, event_id text, path text);"
            " select memoria_follow('public.pictures', p_id => 'id', p_event => 'event_id',"
            " p_path => 'path', p_bucket => 'photos');"
            " insert into public.pictures values ('in-time', 'over', 'a.jpg')"
        )
    client.rpc("memoria_archive_event", {"p_event_id": "over"}).execute()
    with psycopg.connect(environment.database_url) as database:
        database.execute("insert into public.pictures values ('late', 'over', 'b.jpg')")
    show()
    assert "Not looked at: 2 photos of an archived event;" in capsys.readouterr().out

    client.rpc("memoria_reopen_event", {"p_event_id": "over"}).execute()
    show()
    assert "Not looked at" not in capsys.readouterr().out


def test_the_oldest_waiting_is_told_in_words() -> None:
    waiting = {
        "kind": "process", "seconds": 185, "event_id": "party", "media_id": "m1", "attempts": 2,
    }  # fmt: skip
    room = {kind: {"now": 1, "most": 32} for kind in ("process", "cluster", "callback")}
    queue = [{"kind": "process", "status": "queued", "jobs": 7}]
    held_up = {
        "kind": "cluster", "code": "needs_memory", "jobs": 1, "last_message": "too many faces",
    }  # fmt: skip
    lines = list(
        status.report(
            {
                "queue": queue, "in_flight": room, "oldest_waiting": [waiting],
                "outages": [held_up], "failures": [], "archived": {"photos": 3, "events": 2},
            }
        )
    )  # fmt: skip
    assert lines[1].split() == ["process", "7", "0", "0", "0", "0", "0", "1", "of", "32"]
    assert lines[6].split() == ["process", "3", "min", "5", "s", "party", "m1", "2"]
    assert lines[9].split() == ["cluster", "needs_memory", "1", "too", "many", "faces"]
    assert lines[-1].startswith("Not looked at: 3 photos of 2 archived events;")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (7200, "2 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_said_in_one_or_two_units(seconds: float, words: str) -> None:
    assert status.duration(seconds) == words


def test_a_name_from_outside_neither_moves_the_cursor_nor_adds_a_line() -> None:
    failed = {
        "kind": "process", "code": "media_gone", "jobs": 1,
        "last_message": "gone\x1b[2J\nprocess  all_well  0",
    }  # fmt: skip
    room = {kind: {"now": 0, "most": 1} for kind in ("process", "cluster", "callback")}
    told: Json = {"queue": [], "in_flight": room, "oldest_waiting": []}
    told |= {"outages": [], "failures": [failed], "archived": {"photos": 0, "events": 0}}
    lines = list(status.report(told))
    assert lines[-1].endswith(r"gone\x1b[2J\nprocess  all_well  0")
