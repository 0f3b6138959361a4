"""What a hosted project can refuse, and what Memoria makes of it."""

from collections.abc import Callable

import psycopg
import pytest

from tests.database.caller import Database

Admin = Callable[[str], None]


@pytest.fixture
def hosted(db: Database) -> Database:
    db.server.install(db.name, "pg_net", "vault", "cron")
    return db


@pytest.fixture
def admin(hosted: Database) -> Admin:
    """What supabase_admin does."""

    def do(statement: str) -> None:
        url = hosted.server.url_of(hosted.name, "supabase_admin")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    return do


def test_secrets_lie_in_vault_and_can_be_changed(hosted: Database) -> None:
    for secret in ("first", "second"):
        hosted.configure(webhook_secret=secret, process_url=f"https://{secret}.example")
        assert hosted.value("select memoria.secret('webhook_secret')") == secret
    assert hosted.value("select value from memoria.settings where key = 'webhook_secret'") is None


def test_a_vault_that_lost_its_key_stops_nothing_and_is_told(
    hosted: Database, admin: Admin
) -> None:
    hosted.configure(webhook_secret="old", process_url="https://old.example")
    admin("select vault._lose_root_key()")
    hosted.service.enqueue("m1")  # nobody to nudge, and still no error
    hosted.service("sweep")
    assert set(hosted.service("doctor")["vault_faults"]) == {"webhook_secret", "process_url"}
    hosted.configure(webhook_secret="new", process_url="https://new.example")
    assert hosted.service("doctor")["vault_faults"] == {}
    assert hosted.value("select memoria.secret('webhook_secret')") == "new"
    hosted.service.enqueue("m2")
    assert hosted.rows("select distinct url from net.http_request_queue") == ["https://new.example"]


def test_an_old_cron_gets_a_sweep_every_minute(hosted: Database, admin: Admin) -> None:
    admin(
        "create or replace function cron._knows_seconds() returns boolean"
        " language sql as 'select false'"
    )
    hosted.configure()
    assert hosted.service("doctor")["cron"]["schedule"] == "* * * * *"
    assert hosted.service("doctor")["cron_error"] is None


def test_a_cron_that_denies_itself_does_not_stop_configure(hosted: Database, admin: Admin) -> None:
    admin("revoke execute on function cron.schedule from postgres")
    hosted.configure(process_url="https://process.example")
    told = hosted.service("doctor")
    assert told["settings"]["process_url"] == "https://process.example"
    assert "permission denied for function schedule" in told["cron_error"]


@pytest.mark.parametrize("url", ["https://ho%st.example", "http://host:99999x/", "https://(a)/"])
def test_an_address_that_pg_net_refuses_stops_no_insert(hosted: Database, url: str) -> None:
    hosted.do("update memoria.settings set value = %s where key = 'process_url'", f'"{url}"')
    assert hosted.service.enqueue("m1")["job_id"]


def test_a_nudge_that_nobody_answers_is_told(hosted: Database) -> None:
    hosted.configure(process_url="https://process.example", webhook_secret="secret")
    hosted.service.enqueue("m1")  # no worker of pg_net runs here
    assert [nudge["unanswered"] for nudge in hosted.service("doctor")["last_nudges"]] == [False]
    hosted.do("update memoria.dispatches set created_at = created_at - interval '1 minute'")
    assert [nudge["unanswered"] for nudge in hosted.service("doctor")["last_nudges"]] == [True]
