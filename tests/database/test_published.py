"""schemas/ has every public function, as the database has it, and is strict about every answer."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.documents import calls, definitions, documents, functions
from tests.answers import NotAsPublished
from tests.database.caller import Database

SIGNATURES = (
    "select proname::text, coalesce(proargnames, '{}')::text[],"
    " pronargs - pronargdefaults, has_function_privilege('authenticated', oid, 'execute')"
    " from pg_proc where pronamespace = 'public'::regnamespace and proname like 'memoria\\_%'"
)
# a direct request may carry more than it needs to: docs/http.md
OPEN = {"process_request", "cluster_request", "search_request"}


def test_every_public_function_has_a_schema(db: Database) -> None:
    public = {name for name, *_ in db.rows(SIGNATURES)}
    assert set(functions()) - public == set(), "schemas/ has what the database has not"
    assert public - set(functions()) == set(), "add these to schemas/: CONTRIBUTING.md says how"


def test_what_apps_call_has_its_arguments_there(db: Database) -> None:
    signatures = {
        name: (list(names), set(names[:required]))
        for name, names, required, is_app in db.rows(SIGNATURES)
        if is_app
    }
    published = {
        name: (list(schema["properties"]), set(schema["required"]))
        for name, schema in calls().items()
    }
    assert published == signatures


@pytest.mark.parametrize("subject", documents())
def test_a_file_is_a_json_schema(subject: str) -> None:
    Draft202012Validator.check_schema(documents()[subject])


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object that a schema describes by its properties."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_nothing_comes_unannounced() -> None:
    for _, name, schema in definitions():
        if name in OPEN or name.endswith("_fields"):
            continue
        for described in objects(schema):
            closed = (described.get("additionalProperties"), described.get("unevaluatedProperties"))
            assert False in closed, (name, described)


def test_an_answer_that_drifts_fails_the_test_that_gets_it(db: Database) -> None:
    definition = "returns jsonb language sql security definer set search_path = '' as"
    db.do(f"create function public.memoria_new() {definition} $$ select '{{}}'::jsonb $$")
    db.do(
        "create or replace function public.memoria_heartbeat(p_job_id uuid, p_token uuid)"
        f' {definition} $$ select \'{{"held": true, "for": 9}}\'::jsonb $$'
    )
    db.do("grant execute on function public.memoria_new() to service_role")
    with pytest.raises(NotAsPublished, match="memoria_new has no schema"):
        db.service("new")
    with pytest.raises(NotAsPublished, match=r"worker\.json, memoria_heartbeat: .*'for'"):
        db.service("heartbeat", job_id=uuid.uuid4(), token=uuid.uuid4())
