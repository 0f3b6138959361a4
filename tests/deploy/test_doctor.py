"""memoria doctor on a whole system, in health and with one thing broken at a time."""

import argparse

import psycopg
import pytest

from local.processes.stack import Stack
from memoria.cli import doctor
from memoria.cli.diagnosis import diagnose
from tests.data import any_pack
from tests.deploy.whole import examined, wrong


def configure(stack: Stack, settings: str) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("select public.memoria_configure(%s::jsonb)", (settings,))


def test_a_healthy_system_has_nothing_wrong(
    stack: Stack, environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = doctor.run(argparse.Namespace(no_probe=False, wait=30))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("wrong")] == []
    assert status == 0
    assert any("went all the way and back" in line for line in lines)
    assert any(line.split()[1] == "weights:" and any_pack().name in line for line in lines)
    assert not any(secret in "".join(lines) for secret in (stack.webhook_secret, stack.keys.secret))


def test_the_probe_leaves_nothing_behind(stack: Stack, environ: pytest.MonkeyPatch) -> None:
    assert examined(probe=True)["probe"].state == "ok"
    with psycopg.connect(stack.database_url) as connection:
        found = connection.execute("select count(*) from memoria.events").fetchone()
    assert found == (0,)


def test_missing_settings_are_named(environ: pytest.MonkeyPatch) -> None:
    environ.delenv("SUPABASE_URL")
    (found,) = doctor.examine(probe=True, wait_seconds=1)
    assert "SUPABASE_URL: is missing" in str(found)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://127.0.0.1:9", "is make serve running?"),
        ("http://127.0.0.2:9", "is the project paused?"),
    ],
)
def test_a_project_that_does_not_answer(environ: pytest.MonkeyPatch, url: str, asked: str) -> None:
    environ.setenv("SUPABASE_URL", url)
    assert asked in str(examined()["database"])


def test_a_key_that_may_not_call(stack: Stack, environ: pytest.MonkeyPatch) -> None:
    of_users = stack.keys.sign({"role": "authenticated"})  # anon's is refused by name
    environ.setenv("SUPABASE_SERVICE_ROLE_KEY", of_users)
    assert wrong(examined()) == {"database"}


def test_a_key_of_another_project(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_of_another")
    assert "SUPABASE_SERVICE_ROLE_KEY" in str(examined()["database"])


def test_a_database_without_our_functions(stack: Stack, environ: pytest.MonkeyPatch) -> None:
    rename = "alter function public.{} rename to {}"
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(rename.format("memoria_doctor()", "hidden"))
        try:
            assert "supabase db push" in str(examined()["database"])
        finally:
            connection.execute(rename.format("hidden()", "memoria_doctor"))


def test_another_secret_here_than_there(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("WEBHOOK_SECRET", "another")
    assert wrong(examined()) >= {"process secret", "cluster secret"}


def test_functions_that_are_not_where_the_database_thinks(
    stack: Stack, environ: pytest.MonkeyPatch
) -> None:
    configure(stack, '{"process_url": "http://127.0.0.1:9"}')
    try:
        assert "process" in wrong(examined())
    finally:
        configure(stack, f'{{"process_url": "{stack.process_url}"}}')


def test_a_callback_that_is_not_there(stack: Stack, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("CALLBACK_URL", f"{stack.supabase_url}/nowhere")
    assert "callback" in wrong(examined())


def told(**changes: object) -> dict[str, object]:
    healthy: dict[str, object] = {
        "postgres": "17.4",
        "migrations": ["20261123000100"],
        "extensions": {"vector": "0.8.0", "pg_net": "0.14.0"},
        "pg_net": True,
        "vault": True,
        "cron": {"schedule": "30 seconds", "active": True, "last_run": {"status": "succeeded"}},
        "settings": {
            "process_url": "https://p.example",
            "cluster_url": "https://c.example",
            "webhook_secret": "set",
        },
        "last_nudges": [{"status_code": 200}],
        "realtime": {"sends": True, "may_be_followed": True},
    }
    return healthy | changes


def test_a_healthy_database_has_nothing_wrong() -> None:
    assert {found.state for found in diagnose(told())} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"extensions": {}}, "vector"),
        ({"extensions": {"vector": "0.8.0"}, "pg_net": False}, "pg_net"),
        ({"cron": None}, "cron"),
        ({"cron": {"schedule": "30 seconds", "active": False}}, "cron"),
        (
            {"cron": {"schedule": "x", "active": True, "last_run": {"status": "failed"}}},
            "cron",
        ),
        ({"settings": {"cluster_url": "https://c", "webhook_secret": "set"}}, "process_url"),
        ({"settings": {"process_url": "x", "cluster_url": "y"}}, "webhook_secret"),
        ({"last_nudges": [{"status_code": 200}, {"status_code": 401}]}, "webhooks"),
        ({"last_nudges": [{"error_msg": "Couldn't resolve host name"}] * 5}, "webhooks"),
        ({"last_nudges": [{"unanswered": True}] * 5}, "webhooks"),
        ({"vault_faults": {"process_url": "invalid ciphertext"}}, "vault"),
        ({"cron": None, "cron_error": "permission denied for function schedule"}, "cron"),
        (
            {
                "followed": ["public.photos"],
                "not_handed_over": [
                    {
                        "table": "public.photos",
                        "code": "incomplete",
                        "failed": True,
                        "rows": 3,
                        "last_message": "The row names no path yet.",
                    }
                ],
            },
            "handed over",
        ),
        (
            {
                "followed": ["public.photos"],
                "not_handed_over": [
                    {
                        "table": "public.photos",
                        "code": "broken",
                        "failed": True,
                        "rows": 0,
                        "last_message": 'column "path" does not exist',
                    }
                ],
            },
            "followed",
        ),
    ],
)
def test_each_fault_is_found_and_comes_with_its_remedy(
    changes: dict[str, object], about: str
) -> None:
    faults = [found for found in diagnose(told(**changes)) if found.state == "wrong"]
    assert [fault.about for fault in faults] == [about]
    assert faults[0].mend


def test_photos_that_guests_get_no_url_for_are_told() -> None:
    links = {"open_links": 3, "without_urls": 2}
    (found,) = [found for found in diagnose(told(search=links)) if found.state == "note"]
    assert found.about == "search"
    assert "2 of 3" in found.detail
    assert not [f for f in diagnose(told(search=links | {"without_urls": 0})) if f.state != "ok"]


def test_a_stale_signature_is_told_from_a_wrong_secret() -> None:
    stale = {"status_code": 401, "answered_after_seconds": 400.0}
    assert {found.state for found in diagnose(told(last_nudges=[stale] * 5))} == {"ok", "note"}
    fresh = {"status_code": 401, "answered_after_seconds": 1.0}
    assert "wrong" in {found.state for found in diagnose(told(last_nudges=[stale, fresh]))}


def test_a_webhook_that_pg_net_did_not_wait_for_is_no_fault() -> None:
    nudges = [{"timed_out": True, "error_msg": "Timeout"}] * 20
    assert not [found for found in diagnose(told(last_nudges=nudges)) if found.state == "wrong"]


@pytest.mark.parametrize(
    ("pack", "state", "told"),
    [
        ("yunet_sface1", "ok", "A business may use these weights"),
        ("buffalo_l", "note", "No business may use these weights without a licence"),
        ("mine", "note", "which Memoria does not know"),
    ],
)
def test_the_pack_and_its_licence_are_named(pack: str, state: str, told: str) -> None:
    found = doctor.weights(pack)
    assert found.state == state
    assert pack in str(found)
    assert told in str(found)
