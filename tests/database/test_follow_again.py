"""A table is followed again while the sweeper works, and from connections that keep their plans."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.database.caller import Database
from tests.database.test_follow import add, app, follow, trouble_of_ours

__all__ = ["app"]
LOCK = "select from memoria.events where id = %s for no key update"
OTHER_TABLE = 'create table public.second (like public."My Photos" including all)'
FOLLOW_FIRST = "select memoria_follow('public.\"My Photos\"', 'id', 'the event', 'place', 'photos')"
FOLLOW_OTHER = "select memoria_follow('public.second', 'id', 'the event', 'place', 'photos')"


def wait_for_waiters(app: Database, count: int) -> None:
    with psycopg.connect(app.url, autocommit=True) as looker:
        for _ in range(200):
            row = looker.execute("select count(distinct pid) from pg_locks where not granted")
            if row.fetchone() == (count,):
                return
            time.sleep(0.05)
    raise AssertionError


def test_a_sweep_waits_for_no_event_of_a_table_that_is_followed_again(app: Database) -> None:
    """Before, it did, with the table in hand for which memoria_follow was to wait."""
    follow(app)
    add(app, 1, event="ark")
    add(app, 2, event="zoo")
    with trouble_of_ours(app):
        app.do("""update public."My Photos" set place = 'q.jpg' where id = 1""")
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(2) as pool:
        other.execute(LOCK, ["zoo"])
        followed = pool.submit(follow, app, preview_path=None)
        wait_for_waiters(app, 1)
        pool.submit(app.caller("service_role"), "sweep").result(5)
        other.commit()
        assert followed.result()["handed_over"] == 2
    assert app.value("select path from memoria.media where id = '1'") == "q.jpg"


def test_a_table_is_followed_again_while_rows_of_it_are_freed(app: Database) -> None:
    """Before, it held events while it waited for these rows: a deadlock with the sweeper."""
    app.do(OTHER_TABLE)
    follow(app)
    app.value(FOLLOW_OTHER)
    app.do("insert into public.second values (7, 'ark', 'x.jpg'), (8, 'ark', 'x.jpg')")
    add(app, 7, event="ark")
    add(app, 2, event="zoo")
    assert app.rows("select row_id, code from memoria.hand_overs") == [("7", "id_taken")]
    app.do("delete from public.second where id = 7")
    with trouble_of_ours(app):
        app.do("update public.second set place = 'q.jpg' where id = 8")
    app.do("update memoria.followed set retried_at = now() where relation like '%%My%%'")
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(2) as pool:
        other.execute(LOCK, ["zoo"])
        followed = pool.submit(follow, app, preview_path=None)
        wait_for_waiters(app, 1)
        swept = pool.submit(app.caller("service_role"), "sweep")
        wait_for_waiters(app, 2)
        time.sleep(1.5)  # longer than PostgreSQL waits before it looks for a circle
        other.commit()
        assert followed.result()["failed"] == 0
        swept.result()
    app.service("sweep")
    assert app.rows("select path from memoria.media where id in ('7', '8') order by id") == [
        "p/7.jpg", "q.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize("then", ["update", "delete", "select"])
def test_the_app_may_hold_an_event_and_want_the_table_next(app: Database, then: str) -> None:
    """Before, memoria_follow held the table while it waited for the event."""
    app.do(OTHER_TABLE)
    follow(app)
    app.value(FOLLOW_OTHER)
    add(app, 1, event="ark")
    app.do("insert into public.second values (5, 'ark', 'x.jpg')")
    statements = {
        "update": """update public."My Photos" set place = 'y.jpg'""",
        "delete": """delete from public."My Photos" """,
        "select": """select from public."My Photos" """,
    }
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("update public.second set place = 'y.jpg'")
        followed = pool.submit(follow, app, preview_path=None)
        wait_for_waiters(app, 1)
        time.sleep(1.5)
        other.execute(statements[then].encode())
        other.commit()
        assert followed.result()["failed"] == 0


def test_a_migration_that_follows_two_tables_wins_against_the_sweep(app: Database) -> None:
    app.do(OTHER_TABLE)
    follow(app)
    app.value(FOLLOW_OTHER)
    add(app, 1, event="ark")
    app.do("insert into public.second values (8, 'ark', 'x.jpg')")
    with trouble_of_ours(app):
        app.do("update public.second set place = 'q.jpg' where id = 8")
    with psycopg.connect(app.url) as migration, ThreadPoolExecutor(1) as pool:
        migration.execute(FOLLOW_FIRST)
        swept = pool.submit(app.caller("service_role"), "sweep")
        wait_for_waiters(app, 1)
        migration.execute(FOLLOW_OTHER)
        migration.commit()
        swept.result()
    assert app.value("select path from memoria.media where id = '8'") == "q.jpg"


def test_two_tables_that_swapped_their_names_are_left_alone_and_followed_again(
    app: Database,
) -> None:
    """Before, one was taken for the other: photos went whose rows were there."""
    app.do(OTHER_TABLE)
    follow(app)
    app.value(FOLLOW_OTHER)
    add(app, 1, event="ark")
    app.do("insert into public.second values (5, 'ark', 'x.jpg')")
    app.do('alter table public."My Photos" rename to third')
    app.do('alter table public.second rename to "My Photos"')
    app.do("alter table public.third rename to second")
    for refused in (FOLLOW_FIRST, FOLLOW_OTHER):
        with pytest.raises(psycopg.Error, match="Another table was followed as"):
            app.do(refused)
    app.value("select memoria_unfollow('public.\"My Photos\"')")
    assert sources(app) == [("1", 'public."My Photos"'), ("5", None)]
    app.value(FOLLOW_OTHER)
    assert sources(app) == [("1", "public.second"), ("5", None)]
    app.value(FOLLOW_FIRST)
    assert sources(app) == [("1", "public.second"), ("5", 'public."My Photos"')]


def sources(app: Database) -> list[tuple[str, str | None]]:
    return app.rows("select id, source from memoria.media order by id")


def test_a_table_that_is_renamed_while_it_is_waited_for_is_the_one_that_is_followed(
    app: Database,
) -> None:
    follow(app)
    add(app, 1, event="ark")
    app.do(OTHER_TABLE)
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute('alter table public."My Photos" rename to third')
        other.execute('alter table public.second rename to "My Photos"')
        followed = pool.submit(follow, app, preview_path=None)
        wait_for_waiters(app, 1)
        other.commit()
        assert followed.result()["table"] == "public.third"
    assert sources(app) == [("1", "public.third")]


def test_triggers_that_were_renamed_go_too(app: Database) -> None:
    follow(app)
    add(app, 1)
    app.do('alter trigger memoria_follow_delete on public."My Photos" rename to mine')
    app.value("select memoria_unfollow('public.\"My Photos\"')")
    app.do('delete from public."My Photos"')
    assert sources(app) == [("1", None)]


def test_a_table_that_was_renamed_is_followed_again_with_what_waits_of_it(app: Database) -> None:
    follow(app)
    add(app, 1, 2, event="ark")
    with trouble_of_ours(app):
        app.do("""delete from public."My Photos" where id = 1""")
    app.do('alter table public."My Photos" rename to renamed')
    app.value(FOLLOW_OTHER.replace("second", "renamed"))
    assert app.rows("select id, source from memoria.media") == [("2", "public.renamed")]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_what_waits_of_a_table_that_was_renamed_is_done_before_it_is_left_alone(
    app: Database,
) -> None:
    follow(app)
    add(app, 1, 2, event="ark")
    with trouble_of_ours(app):
        app.do("""update public."My Photos" set place = 'q.jpg' where id = 1""")
    app.do('alter table public."My Photos" rename to renamed')
    app.value("select memoria_unfollow('public.renamed')")
    assert app.rows("select id, path, source from memoria.media order by id") == [
        ("1", "q.jpg", None), ("2", "p/2.jpg", None),
    ]  # fmt: skip


def test_a_connection_that_keeps_its_plans_hands_thousands_over_as_fast(app: Database) -> None:
    """Before, each row was compared with all: a pooled connection's statement ran out of time."""
    follow(app)
    fresh = seconds_for(app, range(100, 10_100))
    for n in range(8):
        add(app, n)
        app.do("""update public."My Photos" set place = 'q.jpg' where id = %s""", n)
    kept = seconds_for(app, range(10_100, 20_100))
    assert kept < 3 * fresh


def seconds_for(app: Database, ids: range) -> float:
    """Of one statement that moves many photos."""
    app.do(
        "insert into public.\"My Photos\" select n, 'party', n || '.jpg', null, null"
        " from generate_series(%s::integer, %s) as n",
        ids.start, ids.stop - 1,
    )  # fmt: skip
    began = time.monotonic()
    app.do(
        """update public."My Photos" set place = 'moved/' || place where id between %s and %s""",
        ids.start, ids.stop - 1,
    )  # fmt: skip
    return time.monotonic() - began
