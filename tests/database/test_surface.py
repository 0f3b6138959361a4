"""What the migrations expose, read from the catalogue: nothing but the functions that are meant."""

from tests.database.caller import Database

WORKER = {
    "claim", "heartbeat", "complete_media", "fail", "load_faces", "load_people", "save_people",
    "complete_callback", "sweep_if_due",
}  # fmt: skip
SEARCH = {"begin_search", "refuse_search", "search", "search_again", "request_removal"}
OPERATOR = {"status", "requeue", "configure", "sweep", "doctor"}
APP = {
    "enqueue", "create_event", "event_status", "people", "media", "rename_person", "hide_person",
    "assign_face", "reject_face", "merge_people", "split_person", "forget_person", "archive_event",
    "reopen_event", "delete_media", "delete_event", "recluster", "reprocess", "history", "undo",
    "reject_faces", "tell_apart", "set_cover", "dismiss_face", "add_face", "suggestions",
    "answer_suggestion",
    "enqueue_many", "set_owner", "add_member", "remove_member", "members", "person_photos",
    "photos_with", "photo", "unassigned_faces", "create_search_link", "search_links",
    "revoke_search_link", "searches", "set_retention", "open_search", "may_follow",
}  # fmt: skip

PUBLIC = (
    "select replace(proname, 'memoria_', ''), {} from pg_proc"
    " where pronamespace = 'public'::regnamespace and proname like 'memoria%%'"
)


def _executable_by(db: Database, role: str) -> set[str]:
    found = db.rows(PUBLIC.format("has_function_privilege(%s, oid, 'execute')"), role)
    return {name for name, may in found if may}


def test_each_role_may_call_exactly_what_it_is_meant_to(db: Database) -> None:
    assert _executable_by(db, "service_role") == WORKER | SEARCH | OPERATOR | APP
    assert _executable_by(db, "authenticated") == APP
    assert _executable_by(db, "anon") == set()
    assert _executable_by(db, "authenticator") == set()


def test_every_function_answers_one_jsonb_as_its_definer_with_a_pinned_search_path(
    db: Database,
) -> None:
    for name, kind, definer, options in db.rows(
        PUBLIC.format("prorettype::regtype::text, prosecdef, proconfig")
    ):
        # a policy asks for a boolean
        assert kind == ("boolean" if name == "may_follow" else "jsonb"), name
        assert definer, name
        assert 'search_path=""' in options, name


def test_every_function_of_ours_pins_its_search_path(db: Database) -> None:
    loose = db.rows(
        "select proname from pg_proc where pronamespace = 'memoria'::regnamespace"
        " and not coalesce('search_path=\"\"' = any (proconfig), false)"
    )
    assert loose == []


def test_no_api_role_reaches_the_schema_or_anything_in_it(db: Database) -> None:
    for role in ("anon", "authenticated", "service_role", "authenticator"):
        assert db.value("select has_schema_privilege(%s, 'memoria', 'usage')", role) is False
        reachable = db.rows(
            "select c.oid::regclass::text from pg_class c"
            " where relnamespace = 'memoria'::regnamespace and relkind in ('r', 'v', 'S')"
            " and has_table_privilege(%s, c.oid, 'select, insert, update, delete, truncate')",
            role,
        )
        assert reachable == [], role
        callable_ = db.rows(
            "select proname from pg_proc where pronamespace = 'memoria'::regnamespace"
            " and has_function_privilege(%s, oid, 'execute')",
            role,
        )
        assert callable_ == [], role


def test_row_level_security_is_on_everywhere(db: Database) -> None:
    assert db.rows(
        "select relname from pg_class where relnamespace = 'memoria'::regnamespace"
        " and relkind = 'r' and not relrowsecurity"
    ) == []  # fmt: skip


def test_every_foreign_key_has_an_index_that_starts_with_it(db: Database) -> None:
    """Deleting a photo or an event must not read whole tables."""
    assert db.rows(
        "select conrelid::regclass, conname from pg_constraint where contype = 'f'"
        " and connamespace = 'memoria'::regnamespace and not exists ("
        "   select from pg_index where indrelid = conrelid and indkey[0] = conkey[1])"
    ) == []  # fmt: skip


def test_no_function_overloads_another(db: Database) -> None:
    """PostgREST answers 300 where two functions match."""
    names = db.rows("select proname from pg_proc where pronamespace = 'public'::regnamespace")
    assert len(names) == len(set(names))
