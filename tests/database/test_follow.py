"""The app's own table of photos, followed: its statements never fail by it, and it wins."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest

from tests.database.caller import Caller, Database, Json, wait_until_blocked

HOST, STRANGER = UUID(int=1), UUID(int=2)
ANYBODY_MAKES_EVENTS = (
    "create or replace function memoria.can_create_event(p_event_id text) returns boolean"
    " language sql stable security definer set search_path = '' as $$ select true $$"
)


@pytest.fixture
def app(db: Database) -> Database:
    """An app with a table of its own, whose names need quoting."""
    db.do(
        'create table public."My Photos" (id bigint primary key, "the event" text, place text,'
        " small text, host uuid, note text);"
        ' grant all on public."My Photos" to authenticated'
    )
    return db


def follow(db: Database, **columns: str | None) -> Json:
    asked = {
        "id": "id", "event": "the event", "path": "place", "bucket": "photos",
        "preview_path": "small", "owner": "host",
    } | columns  # fmt: skip
    named = ", ".join(f"p_{name} => %s" for name in asked)
    answer: Json = db.value(
        f"""select memoria_follow('public."My Photos"', {named})""", *asked.values()
    )
    return answer


def add(
    db: Database, *ids: int, event: str = "party", place: str | None = "p", small: str | None = None
) -> None:
    for n in ids:
        db.do(
            'insert into public."My Photos" values (%s, %s, %s, %s, %s)',
            n, event, place and f"{place}/{n}.jpg", small, HOST,
        )  # fmt: skip


@contextmanager
def trouble_of_ours(db: Database) -> Iterator[None]:
    """What the app changes meanwhile is left to the sweeper."""
    db.do("alter table memoria.media rename to hidden")
    yield
    db.do("alter table memoria.hidden rename to media")


TABLE = 'public."My Photos"'
MEDIA = "select id, event_id, bucket, path, preview_path from memoria.media order by number"


def test_what_is_inserted_changed_and_deleted_is_followed(app: Database) -> None:
    follow(app)
    add(app, 1, 2, small="s.jpg")
    assert app.rows(MEDIA) == [
        ("1", "party", "photos", "p/1.jpg", "s.jpg"),
        ("2", "party", "photos", "p/2.jpg", "s.jpg"),
    ]
    assert app.value("select owner_id from memoria.events") == HOST
    for job in app.dispatched("process"):
        app.service.complete(app.service.claim(job), [(0.1, 0.1, 0.2, 0.2)])
    app.do("""update public."My Photos" set note = 'seen'""")
    assert app.value("select count(*) from memoria.media where status = 'pending'") == 0
    app.do("""update public."My Photos" set small = 'smaller.jpg' where id = 2""")
    assert app.rows("select preview_path, status from memoria.media where id = '2'") == [
        ("smaller.jpg", "completed")
    ]
    app.do("""update public."My Photos" set place = 'elsewhere.jpg' where id = 2""")
    assert app.rows("select path, status from memoria.media where id = '2'") == [
        ("elsewhere.jpg", "pending")
    ]
    app.do("""update public."My Photos" set id = 3 where id = 2""")
    app.do("""update public."My Photos" set "the event" = 'other' where id = 1""")
    assert sorted(app.rows("select id, event_id from memoria.media")) == [
        ("1", "other"), ("3", "party"),
    ]  # fmt: skip
    app.do("""delete from public."My Photos" where id = 1""")
    assert app.rows("select id from memoria.media") == ["3"]
    app.do("""truncate public."My Photos" """)
    assert app.rows("select id from memoria.media") == []
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_what_is_there_already_is_handed_over_and_following_again_changes_it(
    app: Database,
) -> None:
    app.do(
        "insert into public.\"My Photos\" select n, 'party', n || '.jpg', null, null"
        " from generate_series(1, 5003) as n"
    )
    assert follow(app, owner=None, preview_path=None) == {
        "table": 'public."My Photos"', "handed_over": 5003, "failed": 0,
    }  # fmt: skip
    assert app.value("select count(*) from memoria.jobs") == 5003
    app.do("""update public."My Photos" set small = 's/' || id""")
    again = follow(app, owner=None, bucket="gs://elsewhere")
    assert again["handed_over"] == 5003
    assert app.rows(MEDIA)[0] == ("1", "party", "gs://elsewhere", "1.jpg", "s/1")
    assert app.value("""select memoria_unfollow('public."My Photos"')""")["followed"] is False
    add(app, 9000)
    assert app.value("select count(*) from memoria.media") == 5003


def test_the_apps_statement_never_fails_and_what_was_not_handed_over_is_seen(
    app: Database,
) -> None:
    follow(app)
    add(app, 1)
    add(app, 2, place=None)
    add(app, 3, place="//x")
    add(app, 4, event="a\tb")
    app.service.enqueue("5", "elsewhere")
    add(app, 5)
    told = {
        row["media_id"]: row["code"]
        for row in app.service("event_status", event_id="party")["not_handed_over"]
    }
    assert told == {"2": "incomplete", "3": "invalid", "5": "id_taken"}
    codes = {row["code"]: row["rows"] for row in app.service("doctor")["not_handed_over"]}
    assert codes == {"incomplete": 1, "invalid": 2, "id_taken": 1}
    app.do("""update public."My Photos" set place = id || '.jpg' where id in (2, 3)""")
    told = app.service("event_status", event_id="party")["not_handed_over"]
    assert [row["media_id"] for row in told] == ["5"]
    assert app.value("select count(*) from memoria.media where event_id = 'party'") == 3


def test_ids_that_are_kept_by_their_beginning_keep_no_other_row_out(db: Database) -> None:
    """Before, two that begin alike failed the whole statement's rows, again and again."""
    db.do("create table public.pics (id text primary key, event text, path text)")
    db.value("select memoria_follow('public.pics', 'id', 'event', 'path', 'photos')")
    db.do(
        "insert into public.pics select id, 'party', 'p.jpg'"
        " from unnest(array[repeat('x', 201), repeat('x', 202), 'good']) as id"
    )
    assert db.rows("select id from memoria.media") == ["good"]
    assert db.rows("select row_id, code from memoria.hand_overs") == [("x" * 200, "invalid")]


def test_trouble_of_ours_is_survived_and_tried_again(app: Database) -> None:
    follow(app)
    add(app, 1)
    with trouble_of_ours(app):
        add(app, 2)
        app.do("""delete from public."My Photos" where id = 1""")
    assert app.rows("select id from memoria.media") == ["1"]
    assert app.service("sweep")["handed_over"] == 1
    assert app.rows("select id from memoria.media") == ["2"]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_tables_in_trouble_are_tried_again_in_turn_a_thousand_rows_at_once(app: Database) -> None:
    """Before, one sweep tried a thousand of every table, and held the events of all of them."""
    follow(app)
    app.do('create table public.others (like public."My Photos" including all)')
    app.value("select memoria_follow('public.others', 'id', 'the event', 'place', 'photos')")
    with trouble_of_ours(app):
        for table, first, last in (('"My Photos"', 1, 2100), ("others", 5000, 5000)):
            app.do(
                f"insert into public.{table} (id, \"the event\", place)"
                " select n, 'party', n || '.jpg' from generate_series(%s::int, %s::int) as n",
                first, last,
            )  # fmt: skip
    told = [app.service("sweep")["handed_over"] for _ in range(5)]
    assert sorted(told[:2]) == [1, 1000]  # whichever comes first
    assert told[2:] == [1000, 100, 0]
    assert app.value("select count(*) from memoria.media") == 2101


def late(db: Database, *tables: str) -> None:
    """A row of each of these tables that could not be handed over."""
    with trouble_of_ours(db):
        for n, table in enumerate(tables, 1):
            db.do(
                f'insert into public.{table} (id, "the event", place)'
                " values (%s, 'party', 'p.jpg')",
                n,
            )


def test_a_table_whose_trouble_lasts_keeps_no_other_waiting(app: Database) -> None:
    """Before, its turn was taken back with what failed: it was the first again in every sweep."""
    follow(app)
    app.do('create table public.others (like public."My Photos" including all)')
    app.value("select memoria_follow('public.others', 'id', 'the event', 'place', 'photos')")
    late(app, '"My Photos"', "others")
    app.do("update memoria.followed set retried_at = now() where relation = 'public.others'")
    app.do('alter table public."My Photos" rename column place to elsewhere')
    assert [app.service("sweep")["handed_over"] for _ in range(2)] == [0, 1]
    assert app.rows("select id from memoria.media") == ["2"]


def test_a_sweep_does_not_wait_for_a_migration_of_a_followed_table(app: Database) -> None:
    """Before, it did, and held what memoria_follow waits for in that migration: a deadlock."""
    follow(app)
    late(app, '"My Photos"')
    with ThreadPoolExecutor(1) as pool, psycopg.connect(app.url) as migration:
        migration.execute(
            "alter table public.\"My Photos\" add column medium text default 'medium.jpg'"
        )
        swept = pool.submit(app.service, "sweep")
        wait_until_blocked(app.rows, swept)
        assert swept.done()
        migration.execute(
            "select memoria_follow('public.\"My Photos\"', 'id', 'the event', 'place', 'photos',"
            " p_preview_path => 'medium')"
        )
    assert swept.result()["handed_over"] == 0
    assert app.rows("select id, preview_path from memoria.media") == [("1", "medium.jpg")]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_a_sweep_holds_no_event_while_it_waits_for_another(app: Database) -> None:
    """Before, it held those that it had repaired, and others waited for it in a circle."""
    follow(app)
    add(app, 1)
    app.service.claim(app.service.enqueue("broken", "zoo"))
    app.expire("running")
    with trouble_of_ours(app):
        app.do("""delete from public."My Photos" where id = 1""")
    lock = "select from memoria.events where id = %s for no key update"
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(lock, ["party"])
        swept = pool.submit(app.service, "sweep")
        wait_until_blocked(app.rows, swept)
        other.execute(lock, ["zoo"])
        other.commit()
        assert swept.result()["runs_expired"] == 1
    assert app.rows("select id from memoria.media") == ["broken"]


def test_a_sweep_locks_events_in_the_order_in_which_others_do(app: Database) -> None:
    """Before, it removed rows that had gone first, and met memoria_requeue in a deadlock."""
    follow(app)
    add(app, 1, event="zoo")
    add(app, 2, event="ark")
    with psycopg.connect(app.url) as run:
        run.execute("select from memoria.events order by id for no key update")
        app.do("""delete from public."My Photos" where id = 1""")
        app.do("""update public."My Photos" set place = 'new.jpg' where id = 2""")
    lock = "select from memoria.events where id = %s for no key update"
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(lock, ["ark"])
        swept = pool.submit(app.service, "sweep")
        wait_until_blocked(app.rows, swept)
        other.execute(lock + " nowait", ["zoo"])
        other.commit()
        assert swept.result()["handed_over"] == 1
    assert app.rows("select id, path from memoria.media") == [("2", "new.jpg")]


def users_statement(app: Database, command: str, seconds: int = 3) -> None:
    """As PostgREST runs it: with the time that a signed-in user's statement has."""
    url = app.server.url_of(app.name, "authenticator")
    with psycopg.connect(url) as api:
        api.execute("set local role authenticated")
        api.execute(f"set local statement_timeout = '{seconds}s'".encode())
        api.execute(command.encode())


ADD = """insert into public."My Photos" values (%s, 'party', 'p.jpg')"""
MOVE = """update public."My Photos" set place = '%s.jpg' where id = %s"""
HELD = "select from memoria.events where id = 'party' for no key update"


def test_the_apps_statements_do_not_wait_for_a_run(app: Database) -> None:
    """Before, they waited for whoever held the event, and failed when their time was over."""
    follow(app)
    add(app, *range(1, 11))
    with psycopg.connect(app.url) as run:
        run.execute(HELD)
        users_statement(app, """delete from public."My Photos" where id = 1""")
        users_statement(  # one statement of theirs, and many of the app's
            app,
            """do $$ begin for n in 2..10 loop
              update public."My Photos" set place = 'new.jpg' where id = n;
            end loop; end $$""",
        )
    late = app.service("event_status", event_id="party")["not_handed_over"]
    assert {row["code"] for row in late} == {"not_handed_over"}
    assert len(late) == 10
    assert app.service("sweep")["handed_over"] == 9
    assert app.value("select count(*) from memoria.media where path = 'new.jpg'") == 9
    assert app.value("select count(*) from memoria.media") == 9
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_the_app_meets_no_deadlock_by_being_followed(app: Database) -> None:
    """Before, a row of the app's and an event of ours were waited for in a circle."""
    follow(app)
    add(app, 1, 2)
    with psycopg.connect(app.url) as one, ThreadPoolExecutor(1) as pool:
        one.execute((MOVE % ("a", 1)).encode())
        other = pool.submit(users_statement, app, MOVE % ("b", 2), 60)
        wait_until_blocked(app.rows, other)
        one.execute("""update public."My Photos" set note = 'x' where id = 2""")
        one.commit()
        other.result()
    app.service("sweep")
    assert app.rows("select path from memoria.media order by id") == ["a.jpg", "b.jpg"]


def test_a_row_of_an_event_that_is_being_deleted_is_handed_over_later(app: Database) -> None:
    follow(app)
    add(app, 1)
    with psycopg.connect(app.url) as other:
        other.execute("select public.memoria_delete_event('party')")
        users_statement(app, ADD % 2)
    assert app.rows("select id from memoria.media") == []
    assert app.service("sweep")["handed_over"] == 1
    assert app.rows("select id from memoria.media") == ["2"]


def test_what_the_app_changes_while_a_sweep_hands_it_over_is_not_lost(app: Database) -> None:
    follow(app)
    add(app, 1)
    with psycopg.connect(app.url) as run, ThreadPoolExecutor(1) as pool:
        run.execute(HELD)
        users_statement(app, MOVE % ("a", 1))
        swept = pool.submit(app.service, "sweep")  # it has read the row, and waits for the event
        wait_until_blocked(app.rows, swept)
        users_statement(app, MOVE % ("b", 1))
        run.commit()
        assert swept.result()["handed_over"] == 0
    app.service("sweep")
    assert app.rows("select path from memoria.media") == ["b.jpg"]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def leave_late(app: Database, command: str) -> None:
    """A statement of the app's while a run holds the events: what it changes is the sweeper's."""
    with psycopg.connect(app.url) as run:
        run.execute("select from memoria.events for update")
        app.do(command)
    assert app.value("select count(*) from memoria.hand_overs where failed") == 1


AWAY = """update public."My Photos" set "the event" = 'other', place = 'new.jpg'"""
BACK = """update public."My Photos" set "the event" = 'party', place = 'p/1.jpg'"""
GONE = """delete from public."My Photos" """


@pytest.mark.parametrize(
    ("before", "late", "meanwhile"),
    [(False, ADD % 1, GONE), (True, AWAY, BACK), (True, AWAY, GONE)],
)
def test_what_the_app_changes_before_a_sweep_is_committed_is_not_lost(
    app: Database, before: bool, late: str, meanwhile: str
) -> None:
    """Before, what the sweeper had read stood for ever: in another event, or without a row."""
    app.service("create_event", event_id="party")
    follow(app, owner=None)
    if before:
        add(app, 1)
    leave_late(app, late)
    with psycopg.connect(app.url) as sweeper, ThreadPoolExecutor(1) as pool:
        sweeper.execute("select memoria_sweep()")
        changed = pool.submit(users_statement, app, meanwhile)
        wait_until_blocked(app.rows, changed)
        sweeper.commit()
        changed.result()
    app.service("sweep")
    left = [("1", "party", "p/1.jpg")] if meanwhile == BACK else []
    assert app.rows("select id, event_id, path from memoria.media") == left
    assert app.value("select count(*) from memoria.hand_overs") == 0


@pytest.mark.parametrize(
    ("when", "does", "statement", "left"),
    [
        ("insert", "update {} set place = 'final.jpg' where id = new.id",
         ADD % 2, [("1", "party", "p/1.jpg"), ("2", "party", "final.jpg")]),
        ("insert", "update {} set place = 'final.jpg' where id = new.id",
         """insert into public."My Photos" values (2, 'party')""",
         [("1", "party", "p/1.jpg"), ("2", "party", "final.jpg")]),
        ("insert", "delete from {} where id = new.id", ADD % 2, [("1", "party", "p/1.jpg")]),
        ("update", """update {} set "the event" = 'other' where id = new.id""",
         MOVE % ("b", 1), [("1", "other", "b.jpg")]),
        ("delete", "insert into {} values (old.id, 'party', 'kept.jpg')",
         GONE, [("1", "party", "kept.jpg")]),
    ],
)  # fmt: skip
def test_what_a_trigger_of_the_apps_own_made_of_a_row_stands(
    app: Database, when: str, does: str, statement: str, left: list[Json]
) -> None:
    """Before, the outer statement was handed over last, as it had been before the trigger's."""
    follow(app, owner=None)
    add(app, 1)
    app.do(
        "create function public.own() returns trigger language plpgsql as"
        f" $$ begin if pg_trigger_depth() = 1 then {does.format(TABLE)}; end if;"
        " return null; end $$;"
        f"create trigger own after {when} on {TABLE} for each row execute function public.own()"
    )
    app.do(statement)
    assert app.rows("select id, event_id, path from memoria.media order by id") == left
    assert app.value("select count(*) from memoria.hand_overs") == 0


@pytest.mark.parametrize("kind", ["date", "public.some_date", "public.one_of_them"])
def test_a_row_is_found_by_an_id_of_any_type(db: Database, kind: str) -> None:
    db.do(
        "create domain public.some_date as date;"
        " create type public.one_of_them as enum ('2026-11-29')"
    )
    db.do(f"create table public.pics (id {kind} primary key, event text, path text)")
    db.value("select memoria_follow('public.pics', 'id', 'event', 'path', 'photos')")
    db.do("insert into public.pics values ('2026-11-29', 'party', 'p.jpg')")
    assert db.rows("select id from memoria.media") == ["2026-11-29"]
    db.do("delete from public.pics")
    assert db.rows("select id from memoria.media") == []


def test_a_row_without_an_id_is_told(db: Database) -> None:
    db.do("create table public.pics (id bigint unique, event text, path text)")
    db.value("select memoria_follow('public.pics', 'id', 'event', 'path', 'photos')")
    db.do("insert into public.pics values (null, 'party', 'p.jpg'), (1, 'party', 'p.jpg')")
    assert db.rows("select id from memoria.media") == ["1"]
    assert db.rows("select row_id, code from memoria.hand_overs") == [("", "invalid")]


def broken(app: Database) -> list[str]:
    told = app.service("doctor")["not_handed_over"]
    return [row["last_message"] for row in told if row["code"] == "broken"]


def test_what_a_renamed_column_hid_is_told_and_found_again(app: Database) -> None:
    """Before, nothing told of it, and photos of rows that had gone stayed, with their faces."""
    follow(app)
    add(app, 1, 2)
    assert broken(app) == []
    app.do('alter table public."My Photos" rename place to path')
    add(app, 3)
    app.do("""delete from public."My Photos" where id = 1""")
    assert "place" in broken(app)[0]
    follow(app, path="path")
    assert broken(app) == []
    assert sorted(app.rows("select id from memoria.media")) == ["2", "3"]
    app.service.enqueue("another's", "party")
    app.do("""delete from public."My Photos" """)
    assert app.rows("select id from memoria.media") == ["another's"]


def test_a_table_two_rows_of_which_may_have_one_id_is_told(app: Database) -> None:
    """It was followed before 0.2.2, which asks for a unique index, or lost it since."""
    follow(app)
    app.do("""alter table public."My Photos" drop constraint "My Photos_pkey" """)
    assert "may have one id" in broken(app)[0]
    app.do("""alter table public."My Photos" add unique (id)""")
    assert broken(app) == []


def test_what_was_deleted_while_nobody_listened_goes_when_it_is_followed_again(
    app: Database,
) -> None:
    follow(app)
    add(app, 1, 2)
    add(app, 3, event="other")
    app.service.enqueue("another's", "party")
    app.do("""alter table public."My Photos" disable trigger user""")
    app.do("""delete from public."My Photos" where id in (1, 3)""")
    assert broken(app) == ["Its triggers are missing or off."]
    follow(app)
    assert broken(app) == []
    assert app.rows("select id from memoria.media") == ["2", "another's"]


@pytest.mark.parametrize(
    "ask", ["""gone_from('%s', '%s', '{"id": "id"}')""", "rows_now('%s', array['1'])"]
)
def test_rows_that_a_policy_hides_are_not_gone(app: Database, ask: str) -> None:
    """Where whoever follows the table may not see all its rows, that is an error."""
    follow(app)
    add(app, 1)
    app.do(
        """alter table public."My Photos" enable row level security;
        grant usage on schema memoria to authenticated;
        grant select on memoria.media, memoria.followed to authenticated;
        grant execute on all functions in schema memoria to authenticated;
        create policy "all" on memoria.media using (true);
        create policy "all" on memoria.followed using (true)"""
    )
    app.do("set role authenticated")
    with pytest.raises(psycopg.Error, match="row-level security policy"):
        app.value(f"select memoria.{ask}::text".replace("%s", TABLE))
    app.do("reset role")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ('alter table public."My Photos" rename to pictures', "public.pictures"),
        (
            'create schema app; alter table public."My Photos" set schema app',
            'app."My Photos"',
        ),
        (
            'alter table public."My Photos" rename to pictures;'
            ' create view public."My Photos" as select * from public.pictures',
            "public.pictures",
        ),
    ],
)
def test_a_table_that_got_another_name_is_followed_under_it(
    app: Database, change: str, name: str
) -> None:
    """Before, its photos stayed the old name's: every row was an id that another had taken."""
    follow(app)
    add(app, 1, 2)
    add(app, 3, place=None)
    app.do(change)
    app.do(f"insert into {name} values (4, 'party', 'p.jpg')")
    assert len(broken(app)) == 1
    again = "select memoria_follow(%s, 'id', 'the event', 'place', 'photos', p_owner => 'host')"
    assert app.value(again, name) == {"table": name, "handed_over": 3, "failed": 1}
    assert app.rows("select distinct source from memoria.media") == [name]
    assert app.rows("select relation from memoria.followed") == [name]
    assert app.rows("select relation, row_id from memoria.hand_overs") == [(name, "3")]
    assert broken(app) == []
    app.do(f"delete from {name} where id = 1")
    assert sorted(app.rows("select id from memoria.media")) == ["2", "4"]


def test_a_table_that_got_another_name_can_be_left_alone(app: Database) -> None:
    follow(app)
    add(app, 1)
    app.do('alter table public."My Photos" rename to pictures')
    app.value("select memoria_unfollow('public.pictures')")
    assert app.value("select count(*) from memoria.followed") == 0
    assert app.rows("select source from memoria.media") == [None]


def test_what_is_still_to_be_done_is_done_before_a_table_is_left_alone(app: Database) -> None:
    """Before, it was forgotten: a row deleted while its event was locked stayed as a photo."""
    follow(app)
    add(app, 1, 2)
    refuse(app, "3")
    with psycopg.connect(app.url) as run:
        run.execute(HELD)
        app.do("""delete from public."My Photos" where id = 1""")
        add(app, 3, 4)
    app.value("select memoria_unfollow('public.\"My Photos\"')")
    assert app.rows("select id from memoria.media where source is null order by id") == ["2", "4"]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_what_was_late_of_another_table_is_not_judged_by_this_one(app: Database) -> None:
    """It has the followed one's name now, and none of its rows."""
    follow(app)
    add(app, 1, 2)
    with psycopg.connect(app.url) as run:
        run.execute(HELD)
        app.do("""update public."My Photos" set place = 'other.jpg' where id = 1""")
    assert app.value("select count(*) from memoria.hand_overs") == 1
    app.do(
        'alter table public."My Photos" rename to old;'
        ' create table public."My Photos" (like public.old)'
    )
    app.value("select memoria_unfollow('public.\"My Photos\"')")
    assert app.rows("select id from memoria.media order by id") == ["1", "2"]


def test_a_photo_whose_row_moved_while_nobody_followed_moves_with_it(app: Database) -> None:
    """Before, its id was taken by itself, and it was shown in the former event for good."""
    follow(app)
    add(app, 1)
    app.value("select memoria_unfollow('public.\"My Photos\"')")
    app.do("""update public."My Photos" set "the event" = 'other'""")
    assert follow(app)["failed"] == 0
    assert app.rows("select event_id, source is not null from memoria.media") == [("other", True)]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_a_table_that_took_the_name_of_another_keeps_its_photos(app: Database) -> None:
    follow(app)
    add(app, 1)
    app.do(
        'alter table public."My Photos" rename to old;'
        ' create table public."My Photos" as select * from public.old;'
        ' alter table public."My Photos" add primary key (id)'
    )
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="that one first"):
        follow(app)
    app.value("select memoria_unfollow('public.old')")
    follow(app)
    assert app.rows("select source from memoria.media") == ['public."My Photos"']
    assert app.rows("select relation from memoria.followed") == ['public."My Photos"']
    app.do("truncate public.old")
    assert app.value("select count(*) from memoria.media") == 1


def test_an_empty_table_of_a_followed_ones_old_name_removes_nothing(app: Database) -> None:
    """As where photos are kept by the year: those of the last one lie in the renamed table."""
    follow(app)
    add(app, 1)
    app.do(
        'alter table public."My Photos" rename to last_year;'
        ' create table public."My Photos" (like public.last_year including all)'
    )
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="that one first"):
        follow(app)
    with psycopg.connect(app.url) as other:
        other.execute("select from memoria.events for update")
        app.do("update public.last_year set place = 'else.jpg'")  # not handed over yet
    app.service("sweep")
    assert app.value("select count(*) from memoria.media") == 1


def refuse(app: Database, *ids: str) -> None:
    """Photos of these ids meet with trouble, always."""
    with psycopg.connect(app.url) as other:
        other.execute(
            "create function memoria.refuse() returns trigger language plpgsql as"
            " $$ begin raise exception 'never'; end $$"
        )
        named = ", ".join(f"'{photo}'" for photo in ids)
        other.execute(
            "create trigger refuse before insert on memoria.media for each row"
            f" when (new.id in ({named})) execute function memoria.refuse()".encode()
        )


def test_a_row_that_always_fails_keeps_no_other_waiting(app: Database) -> None:
    """Before, the thousand oldest rows of its table were tried as one, for ever."""
    follow(app)
    refuse(app, "3", "700")
    app.do(
        'insert into public."My Photos" (id, "the event", place)'
        " select n, 'party', 'p.jpg' from generate_series(1, 1200) as n"
    )
    for _ in range(40):
        app.service("sweep")
    assert app.value("select count(*) from memoria.media") == 1198
    assert sorted(app.rows("select row_id from memoria.hand_overs")) == ["3", "700"]
    app.do("drop trigger refuse on memoria.media")
    assert app.service("sweep")["handed_over"] == 2


@pytest.mark.parametrize("place", ["photos/theirs.jpg", "p/1.jpg"])
def test_a_photo_that_a_user_squatted_goes_and_is_recorded(app: Database, place: str) -> None:
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="theirs")
    claim = app.service.claim(stranger.enqueue("1", "theirs", place))
    app.service.complete(claim, [(0.1, 0.1, 0.2, 0.2)])
    follow(app)
    add(app, 1)
    assert app.rows("select event_id, path, added_by, status from memoria.media") == [
        ("party", "p/1.jpg", None, "pending")
    ]
    assert app.value("select count(*) from memoria.faces") == 0
    (told,) = app.service("doctor")["not_handed_over"]
    assert (told["code"], told["failed"]) == ("taken_over", False)
    with pytest.raises(psycopg.Error, match="taken by another photo"):
        stranger.enqueue("1", "theirs")


def test_an_event_that_a_user_squatted_is_the_apps_again(app: Database) -> None:
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="party")
    stranger("add_member", event_id="party", user_id=UUID(int=3), role="host")
    stranger.enqueue("squatted", "party")
    follow(app)
    add(app, 1)
    assert app.rows("select id from memoria.media") == ["1"]
    assert app.rows("select owner_id, made_by from memoria.events") == [(HOST, None)]
    for user in (STRANGER, UUID(int=3)):
        with pytest.raises(psycopg.Error, match="no such event"):
            app.caller("authenticated", user)("media", event_id="party")
    (told,) = app.service("doctor")["not_handed_over"]
    assert told["code"] == "event_taken_over"


def test_without_an_owner_photos_are_not_filed_under_an_event_that_a_user_made(
    app: Database,
) -> None:
    app.do(ANYBODY_MAKES_EVENTS)
    app.caller("authenticated", STRANGER)("create_event", event_id="party")
    follow(app, owner=None)
    add(app, 1)
    assert app.rows("select id from memoria.media") == []
    (told,) = app.service("event_status", event_id="party")["not_handed_over"]
    assert told["code"] == "event_of_a_user"
    follow(app)
    assert app.rows("select id from memoria.media") == ["1"]


NO_OWNER = """insert into public."My Photos" values (%s, 'party', 'p.jpg')"""


def hosts_party(app: Database) -> Caller:
    """An event that HOST made, with a member and a photo that HOST handed over; it is followed."""
    app.do(ANYBODY_MAKES_EVENTS)
    host = app.caller("authenticated", HOST)
    host("create_event", event_id="party")
    host("add_member", event_id="party", user_id=STRANGER, role="viewer")
    host.enqueue("own", "party")
    follow(app)
    return host


def test_a_row_that_names_no_owner_takes_no_event_from_its_owner(app: Database) -> None:
    """Before, nobody counted as somebody else: members and photos of the owner went."""
    host = hosts_party(app)
    app.do(NO_OWNER % 1)
    assert app.rows("select id from memoria.media") == ["own"]
    (told,) = app.service("event_status", event_id="party")["not_handed_over"]
    assert (told["media_id"], told["code"]) == ("1", "event_of_a_user")
    assert "names no owner" in told["message"]
    add(app, 2)  # now the app says whose it is
    app.do(NO_OWNER % 3)
    app.service("sweep")
    assert app.rows("select id from memoria.media order by id") == ["1", "2", "3", "own"]
    assert app.rows("select owner_id, made_by from memoria.events") == [(HOST, None)]
    assert len(host("members", event_id="party")["members"]) == 1
    assert app.value("select count(*) from memoria.hand_overs") == 0


@pytest.mark.parametrize("confirmed", [True, False])
def test_an_event_that_its_maker_gave_away_stays_given(app: Database, confirmed: bool) -> None:
    """Before, the next row took it back, and deleted what had been handed over by hand."""
    host = hosts_party(app)
    if confirmed:
        add(app, 1)
    host("set_owner", event_id="party", owner_id=STRANGER)
    add(app, 2)
    assert app.rows("select owner_id, made_by from memoria.events") == [(STRANGER, None)]
    assert set(app.rows("select id from memoria.media")) >= {"own", "2"}


def test_of_two_owners_in_one_statement_the_first_stays(app: Database) -> None:
    """Before, the last did."""
    follow(app)
    app.do(
        "insert into public.\"My Photos\" values (2, 'party', 'p.jpg', null, %s),"
        " (1, 'party', 'q.jpg', null, %s)",
        HOST, STRANGER,
    )  # fmt: skip
    assert app.rows("select owner_id from memoria.events") == [HOST]


def test_an_event_that_a_stranger_made_for_its_owner_lets_nobody_in(app: Database) -> None:
    """Before, whoever made it first and gave it to the host went on seeing the host's photos."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="party")
    friend, friends_friend, backends, owners = (UUID(int=n) for n in range(3, 7))
    stranger("add_member", event_id="party", user_id=friend, role="host")
    inviting = app.caller("authenticated", friend)
    inviting("add_member", event_id="party", user_id=friends_friend, role="viewer")
    app.service("add_member", event_id="party", user_id=backends, role="viewer")
    stranger("set_owner", event_id="party", owner_id=HOST)
    host = app.caller("authenticated", HOST)
    host("add_member", event_id="party", user_id=owners, role="viewer")
    follow(app)
    add(app, 1)
    assert app.rows("select owner_id, made_by from memoria.events") == [(HOST, None)]
    members = app.rows("select user_id from memoria.members order by user_id")
    assert members == [backends, owners]


LINK = {"expires_in_hours": 8760}


@pytest.mark.parametrize("given", [False, True])
def test_what_a_stranger_said_of_an_event_ends_with_the_takeover(
    app: Database, given: bool
) -> None:
    """Before, their links showed the app's photos, and their day of retention ended them."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="party")
    stranger("create_search_link", event_id="party", options=LINK)
    backends = app.service("create_search_link", event_id="party")["link_id"]
    stranger("set_retention", event_id="party", days=1)
    if given:
        stranger("set_owner", event_id="party", owner_id=HOST)
    follow(app)
    add(app, 1)
    assert app.rows("select archive_at, made_by from memoria.events") == [(None, None)]
    links = app.rows("select id::text from memoria.search_links where revoked_at is null")
    assert links == [backends]


def test_what_the_owner_said_of_a_given_event_stays(app: Database) -> None:
    app.do(ANYBODY_MAKES_EVENTS)
    stranger, host = (app.caller("authenticated", user) for user in (STRANGER, HOST))
    stranger("create_event", event_id="party")
    stranger("set_owner", event_id="party", owner_id=HOST)
    host("create_search_link", event_id="party")
    host("set_retention", event_id="party", days=9)
    follow(app)
    add(app, 1)
    assert app.value("select archive_at is not null from memoria.events")
    assert app.value("select count(*) from memoria.search_links where revoked_at is null") == 1


@pytest.mark.parametrize(
    ("who_sets", "who_archives", "left"),
    [(HOST, STRANGER, ("open", True)), (STRANGER, HOST, ("archived", False))],
)
def test_who_archived_an_event_is_another_than_who_set_its_time(
    app: Database, who_sets: UUID, who_archives: UUID, left: Json
) -> None:
    """Before, both were who said something last: the host's time went, the stranger's stayed."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="party")
    stranger("add_member", event_id="party", user_id=HOST, role="host")
    app.caller("authenticated", who_sets)("set_retention", event_id="party", days=9)
    app.caller("authenticated", who_archives)("archive_event", event_id="party")
    stranger("set_owner", event_id="party", owner_id=HOST)
    follow(app)
    add(app, 1)
    assert app.rows("select status, archive_at is not null from memoria.events") == [left]


def test_who_archives_what_is_archived_did_not_do_it(app: Database) -> None:
    """Before, the backend did it for who had set the time, and a takeover opened the event."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger, host = (app.caller("authenticated", user) for user in (STRANGER, HOST))
    stranger("create_event", event_id="party")
    stranger("add_member", event_id="party", user_id=HOST, role="host")
    stranger("set_retention", event_id="party", days=9)
    host("archive_event", event_id="party")
    app.do("update memoria.events set archive_at = now()")
    app.service("archive_event", event_id="party")
    stranger("archive_event", event_id="party")
    stranger("set_owner", event_id="party", owner_id=HOST)
    follow(app)
    add(app, 1)
    assert app.rows("select status from memoria.events") == ["archived"]


def test_who_takes_a_time_back_has_set_none(app: Database) -> None:
    app.service("create_event", event_id="party", owner_id=HOST)
    host = app.caller("authenticated", HOST)
    kept = "select archive_at is not null, archive_time_by from memoria.events"
    for days, left in ((9, (True, HOST)), (None, (False, None))):
        host("set_retention", event_id="party", days=days)
        assert app.rows(kept) == [left]


def test_an_event_that_a_stranger_archived_is_open_after_the_takeover(app: Database) -> None:
    """Before, each photo of the app's ended as one of an archived event."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="party")
    stranger("archive_event", event_id="party")
    follow(app)
    add(app, 1)
    assert app.rows("select status from memoria.events") == ["open"]
    assert app.rows("select status, error_code from memoria.media") == [("pending", None)]
    assert len(app.dispatched("process")) == 1


def test_a_member_who_left_lets_nobody_stay_in(app: Database) -> None:
    """Before, who made the event first was host again by a friend who let them in, and left."""
    app.do(ANYBODY_MAKES_EVENTS)
    friend, friends_friend, left, guest = (UUID(int=n) for n in range(3, 7))
    stranger, inviting, host, leaving = (
        app.caller("authenticated", user) for user in (STRANGER, friend, HOST, left)
    )
    stranger("create_event", event_id="party")
    stranger("add_member", event_id="party", user_id=friend, role="host")
    stranger("set_owner", event_id="party", owner_id=HOST)
    for user in (STRANGER, friends_friend):
        inviting("add_member", event_id="party", user_id=user, role="host")
    inviting("remove_member", event_id="party", user_id=friend)
    host("add_member", event_id="party", user_id=left, role="cohost")
    leaving("add_member", event_id="party", user_id=guest, role="viewer")
    leaving("remove_member", event_id="party", user_id=left)
    follow(app)
    add(app, 1)
    assert app.rows("select user_id, added_by from memoria.members") == [(guest, HOST)]


def test_whom_an_event_passed_through_lets_nobody_stay_in(app: Database) -> None:
    """Nobody that the owner or the backend let in leads to them."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger, friend = (app.caller("authenticated", UUID(int=n)) for n in (2, 3))
    stranger("create_event", event_id="party")
    stranger("set_owner", event_id="party", owner_id=UUID(int=3))
    friend("add_member", event_id="party", user_id=STRANGER, role="host")
    friend("set_owner", event_id="party", owner_id=HOST)
    follow(app)
    add(app, 1)
    assert app.value("select count(*) from memoria.members") == 0


def test_whom_the_owner_lets_in_anew_stays(app: Database) -> None:
    """Before, they counted as let in by who had done so first."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger, host = (app.caller("authenticated", user) for user in (STRANGER, HOST))
    stranger("create_event", event_id="party")
    stranger("add_member", event_id="party", user_id=UUID(int=3), role="viewer")
    stranger("set_owner", event_id="party", owner_id=HOST)
    host("add_member", event_id="party", user_id=UUID(int=3), role="cohost")
    follow(app)
    add(app, 1)
    assert app.rows("select role from memoria.members") == ["cohost"]


def test_a_member_whom_a_table_names_owner_keeps_no_role_when_they_give_it_away(
    app: Database,
) -> None:
    app.service("create_event", event_id="party")
    app.service("add_member", event_id="party", user_id=HOST, role="cohost")
    follow(app)
    add(app, 1)
    app.caller("authenticated", HOST)("set_owner", event_id="party", owner_id=STRANGER)
    assert app.value("select memoria.role_in('party', %s)", HOST) is None


def test_a_row_that_is_copied_to_another_table_before_it_goes_is_not_lost(app: Database) -> None:
    """Before, the id was taken when it came, and nobody tried again when it was free."""
    follow(app)
    app.do('create table public.kept (like public."My Photos" including all)')
    app.value("select memoria_follow('public.kept', 'id', 'the event', 'place', 'photos')")
    add(app, 1)
    app.do("""insert into public.kept select * from public."My Photos" """)
    app.do("""delete from public."My Photos" """)
    assert app.service("sweep")["handed_over"] == 1
    assert app.rows("select id, source from memoria.media") == [("1", "public.kept")]
    assert app.value("select count(*) from memoria.hand_overs") == 0


@pytest.mark.parametrize(
    "frees",
    [
        "select memoria_delete_event('party')",
        "select memoria_delete_media('1')",
        """select memoria_unfollow('public."My Photos"')""",
        'drop table public."My Photos"',
    ],
)
def test_an_id_that_is_free_again_is_the_other_tables(app: Database, frees: str) -> None:
    """Before, only the deletion of the first table's row freed it."""
    follow(app)
    app.do('create table public.kept (like public."My Photos" including all)')
    app.value("select memoria_follow('public.kept', 'id', 'the event', 'place', 'photos')")
    add(app, 1)
    app.do("""insert into public.kept values (1, 'party', 'new.jpg')""")
    assert app.service("sweep")["handed_over"] == 0
    assert app.rows("select code from memoria.hand_overs") == ["id_taken"]
    app.do(frees)
    assert app.service("sweep")["handed_over"] == 1
    assert app.rows("select path, source from memoria.media") == [("new.jpg", "public.kept")]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_a_table_that_replaces_a_dropped_one_has_its_photos(app: Database) -> None:
    """Before, the dropped table held its ids for ever, and nobody could name it."""
    follow(app)
    add(app, 1, 2)
    app.do(
        'create table public.kept (like public."My Photos" including all);'
        ' insert into public.kept select * from public."My Photos";'
        ' drop table public."My Photos"'
    )
    again = "select memoria_follow('public.kept', 'id', 'the event', 'place', 'photos')"
    assert app.value(again)["failed"] == 0
    assert app.rows("select relation from memoria.followed") == ["public.kept"]
    assert broken(app) == []
    app.do("delete from public.kept where id = 1")
    assert app.rows("select id from memoria.media") == ["2"]


def test_a_table_that_has_another_name_now_keeps_its_ids(app: Database) -> None:
    follow(app)
    add(app, 1)
    app.do(
        'create table public.kept (like public."My Photos" including all);'
        ' insert into public.kept select * from public."My Photos";'
        ' alter table public."My Photos" rename to pictures'
    )
    app.value("select memoria_follow('public.kept', 'id', 'the event', 'place', 'photos')")
    app.service("sweep")
    assert app.rows("select source from memoria.media") == [TABLE]


def test_rows_wait_for_an_event_that_a_user_made_and_deletes(app: Database) -> None:
    """Before, they were forgotten with the event, and nothing told."""
    app.do(ANYBODY_MAKES_EVENTS)
    stranger = app.caller("authenticated", STRANGER)
    stranger("create_event", event_id="party")
    follow(app, owner=None)
    add(app, 1)
    stranger("delete_event", event_id="party")
    assert app.service("sweep")["handed_over"] == 1
    assert app.rows("select id, event_id from memoria.media") == [("1", "party")]
    assert app.value("select count(*) from memoria.hand_overs") == 0


def test_by_hand_nobody_takes_the_preview_of_a_photo_that_follows_a_table(app: Database) -> None:
    follow(app)
    add(app, 1, small="s.jpg")
    app.service.enqueue("1", "party", "p/1.jpg")
    assert app.rows("select preview_path from memoria.media") == ["s.jpg"]


def test_a_user_of_the_app_hands_over_by_inserting(app: Database) -> None:
    follow(app)
    with app.admin.transaction():
        app.do("set local role authenticated")
        add(app, 1)
    assert app.rows("select id, added_by from memoria.media") == [("1", None)]


def test_a_thousand_rows_cost_no_more_statements_than_one(app: Database) -> None:
    follow(app)
    insert = (
        'explain (analyze, costs off) insert into public."My Photos"'
        " select n, 'party', n || '.jpg' from generate_series(1, %s) as n"
    )
    plan = "\n".join(app.rows(insert, 1000))
    assert "Trigger memoria_follow_insert: " in plan
    assert plan.split("Trigger memoria_follow_insert: ")[1].split("calls=")[1].startswith("1")
    assert app.value("select count(*) from memoria.media") == 1000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"path": "nowhere"}, "has no column nowhere"),
        ({"bucket": None}, "Name the bucket"),
        ({"bucket_column": "note"}, "Name the bucket"),
        ({"event": None}, "name columns of the table"),
    ],
)
def test_what_cannot_be_followed_is_named(
    app: Database, wrong: dict[str, str | None], message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message):
        follow(app, **wrong)
    assert app.value("select count(*) from memoria.followed") == 0


def test_what_triggers_would_not_see_is_not_followed(db: Database) -> None:
    """Before, rows of a virtual path were incomplete, and those that came by the parent unseen."""
    columns = "'id', 'event', 'path', 'photos'"
    db.do(
        "create table public.pics (id int, event text, path text) partition by list (event);"
        " create table public.parties partition of public.pics for values in ('party')"
    )
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="its parent: follow public"):
        db.value(f"select memoria_follow('public.parties', {columns})")
    assert db.value(f"select memoria_follow('public.pics', {columns})")["failed"] == 0
    db.do("insert into public.pics values (1, 'party', 'p.jpg')")
    assert db.rows("select id from memoria.media") == ["1"]
    if db.admin.info.server_version >= 180000:
        db.do(
            "create table public.made (id int, event text,"
            " path text generated always as (event || '.jpg') virtual)"
        )
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="have path stored"):
            db.value(f"select memoria_follow('public.made', {columns})")


@pytest.mark.parametrize("name", ["pics", "raws"])
def test_a_table_that_inherits_or_is_inherited_from_is_not_followed(
    db: Database, name: str
) -> None:
    """Before, half of what was changed there went unseen, and nothing told."""
    db.do("create table public.pics (id text primary key, event text, path text)")
    db.do("create table public.raws (primary key (id)) inherits (public.pics)")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="inherits"):
        db.value(f"select memoria_follow('public.{name}', 'id', 'event', 'path', 'photos')")


@pytest.mark.parametrize(
    "index",
    [
        "create unique index on public.pics (id, event)",
        "create unique index on public.pics (id) where event = 'party'",
        "create unique index on public.pics (lower(id))",
        "create index on public.pics (id)",
    ],
)
def test_a_column_that_two_rows_may_share_is_no_id(db: Database, index: str) -> None:
    """Before, two rows became one photo, which went with the first of them."""
    db.do(f"create table public.pics (id text, event text, path text); {index}")
    ask = "select memoria_follow('public.pics', 'id', 'event', 'path', 'photos')"
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="add a primary key"):
        db.value(ask)
    db.do("create unique index on public.pics (id) include (event)")
    assert db.value(ask)["failed"] == 0


def test_a_large_table_locks_its_events_in_the_order_in_which_others_do(app: Database) -> None:
    """Before, it did so page by page in the order of its rows: a deadlock with memoria_requeue."""
    app.do(
        'insert into public."My Photos" (id, "the event", place)'
        " select n, case when n > 5000 then 'ark' else 'zoo' end, 'p.jpg'"
        " from generate_series(1, 5001) as n"
    )
    follow(app)
    lock = "select from memoria.events where id = %s for no key update"
    with psycopg.connect(app.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(lock, ["ark"])
        followed = pool.submit(follow, app, bucket="others")
        with psycopg.connect(app.url, autocommit=True) as looker:
            wait_until_blocked(lambda query: looker.execute(query.encode()).fetchall(), followed)
        other.execute(lock + " nowait", ["zoo"])
        other.commit()
        assert followed.result()["handed_over"] == 5001


def test_a_photo_that_moves_while_it_is_deleted_is_not_said_to_be_gone(app: Database) -> None:
    """Before, it was said to be deleted, and stayed."""
    follow(app)
    add(app, 1)
    with psycopg.connect(app.url) as moving, ThreadPoolExecutor(1) as pool:
        moving.execute("""update public."My Photos" set "the event" = 'other'""")
        deleted = pool.submit(app.service, "delete_media", media_id="1")
        wait_until_blocked(app.rows, deleted)
        moving.commit()
        with pytest.raises(psycopg.Error, match="another event at this instant"):
            deleted.result()
    assert app.service("delete_media", media_id="1")["event_id"] == "other"


def test_many_are_enqueued_in_one_call_and_each_is_answered(db: Database) -> None:
    db.service.enqueue("elsewhere", "other")
    media = [{"media_id": f"m{n}", "bucket": "photos", "path": f"{n}.jpg"} for n in range(3)]
    media += [
        {"media_id": "elsewhere", "bucket": "photos", "path": "x"},
        {"media_id": "m\x01", "bucket": "photos", "path": "x"},
        {"media_id": "nowhere", "bucket": "photos"},
    ]
    answer = db.service("enqueue_many", event_id="party", media=media)["media"]
    assert [item.get("status") for item in answer[:3]] == ["queued"] * 3
    assert [item["error"]["code"] for item in answer[3:]] == ["id_taken", "invalid", "invalid"]
    assert len(db.dispatched("process")) == 4
    again = db.service("enqueue_many", event_id="party", media=media[:3])["media"]
    assert [item["job_id"] for item in again] == [item["job_id"] for item in answer[:3]]
    with pytest.raises(psycopg.Error, match="at most 1000"):
        db.service("enqueue_many", event_id="party", media=media * 200)


def test_an_event_is_not_done_while_a_row_of_it_is_late(app: Database) -> None:
    follow(app)
    app.service.process("m0", [])
    app.do(
        "update memoria.jobs set status = 'completed', finished_at = now() where kind = 'cluster'"
    )
    assert app.service("event_status", event_id="party")["done"] is True
    late(app, '"My Photos"')
    assert app.service("event_status", event_id="party")["done"] is False


HOSTS = """
create table public.pics (id bigint primary key, ev text, path text, host uuid);
select memoria_follow('public.pics', 'id', 'ev', 'path', 'photos', p_owner => 'host');
"""


def names_owner(db: Database, owner: UUID) -> None:
    """A row of the app's names whose the event is."""
    db.do("insert into public.pics values (1, 'party', 'p/1.jpg', %s)", owner)


def test_whom_the_maker_let_in_goes_although_the_maker_left_before(app: Database) -> None:
    """Before, who left passed on whom they had let in to the owner, who had let them in again."""
    app.do(ANYBODY_MAKES_EVENTS)
    app.do(HOSTS)
    maker, friend, owner = (UUID(int=n) for n in (10, 11, 12))
    app.caller("authenticated", maker)("create_event", event_id="party")
    app.caller("authenticated", maker)(
        "add_member", event_id="party", user_id=str(friend), role="viewer"
    )
    app.caller("authenticated", maker)("set_owner", event_id="party", owner_id=str(owner))
    app.caller("authenticated", owner)(
        "add_member", event_id="party", user_id=str(maker), role="viewer"
    )
    app.caller("authenticated", maker)("remove_member", event_id="party", user_id=str(maker))
    names_owner(app, owner)
    assert app.rows("select user_id from memoria.members") == []


def test_who_says_their_own_role_keeps_it_and_their_guests(app: Database) -> None:
    app.do(ANYBODY_MAKES_EVENTS)
    app.do(HOSTS)
    maker, cohost, owner, guest = (UUID(int=n) for n in (10, 11, 12, 13))
    app.caller("authenticated", maker)("create_event", event_id="party")
    app.caller("authenticated", maker)("set_owner", event_id="party", owner_id=str(owner))
    app.caller("authenticated", owner)(
        "add_member", event_id="party", user_id=str(cohost), role="cohost"
    )
    for user, role in ((guest, "viewer"), (cohost, "cohost")):
        app.caller("authenticated", cohost)(
            "add_member", event_id="party", user_id=str(user), role=role
        )
    names_owner(app, owner)
    assert set(app.rows("select user_id from memoria.members")) == {cohost, guest}


def test_a_row_beside_a_partition_that_is_locked_is_late_and_not_lost(app: Database) -> None:
    app.do(
        "create table public.pics (id bigint, ev text, path text, day int, primary key (id, day))"
        " partition by range (day);"
        " create table public.pics_0 partition of public.pics for values from (0) to (1);"
        " create table public.pics_1 partition of public.pics for values from (1) to (2);"
        " select memoria_follow('public.pics', 'id', 'ev', 'path', 'photos')"
    )
    with psycopg.connect(app.url) as purge:
        purge.execute("truncate only public.pics_1")
        app.do("insert into public.pics values (1, 'party', 'p/1.jpg', 0)")
    assert app.rows("select broken from memoria.followed where relation = 'public.pics'") == [None]
    app.service("sweep")
    assert app.rows("select id from memoria.media") == ["1"]


def test_an_event_is_done_though_a_table_was_dropped_whose_rows_it_kept_out(app: Database) -> None:
    app.do("create table public.pics (id text primary key, ev text, path text)")
    app.do("select memoria_follow('public.pics', 'id', 'ev', 'path', 'photos')")
    app.service.enqueue("1", "elsewhere")
    app.do("insert into public.pics values ('1', 'party', 'p/1.jpg')")
    app.service.process("2")
    app.do("drop table public.pics")
    app.service("delete_media", media_id="1")
    app.service("sweep")
    app.do("delete from memoria.jobs where kind = 'cluster'")
    assert app.service("event_status", event_id="party")["done"] is True


def test_an_event_is_done_though_nobody_follows_what_has_a_dropped_tables_name(
    app: Database,
) -> None:
    """Before, rows of the dropped table were waited for until one of its name was followed."""
    follow(app)
    app.service.process("m0", [])
    late(app, '"My Photos"')
    app.do('drop table public."My Photos"; create table public."My Photos" (id bigint)')
    app.service("sweep")
    app.do("delete from memoria.jobs where kind = 'cluster'")
    status = app.service("event_status", event_id="party")
    assert status["done"] is True
    assert [row["code"] for row in status["not_handed_over"]] == ["not_handed_over"]
    assert broken(app) == ["Its triggers are missing or off."]


def test_a_row_that_was_kept_out_goes_from_the_notes_when_its_table_is_emptied(
    app: Database,
) -> None:
    app.do("create table public.pics (id text primary key, ev text, path text)")
    app.do("select memoria_follow('public.pics', 'id', 'ev', 'path', 'photos')")
    app.do("insert into public.pics values ('1', 'party', null), ('2', 'party', 'p/2.jpg')")
    assert len(app.service("event_status", event_id="party")["not_handed_over"]) == 1
    app.do("truncate public.pics")
    assert app.service("event_status", event_id="party")["not_handed_over"] == []
    assert app.rows("select id from memoria.media") == []
