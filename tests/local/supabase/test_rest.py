"""The PostgREST stand-in against supabase-py and raw requests, over the real PostgreSQL."""

import json
import time
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError

from local.processes.stack import Stack


def post(stack: Stack, name: str, body: str = "{}", **headers: str) -> httpx.Response:
    sent = {"apikey": stack.keys.secret, "Content-Type": "application/json"} | headers
    return httpx.post(f"{stack.supabase_url}/rest/v1/rpc/{name}", content=body, headers=sent)


def call(stack: Stack, name: str, **params: Any) -> Any:
    return stack.client().rpc(name, params).execute().data


def test_a_scalar_comes_back_as_itself_and_omitted_arguments_take_their_defaults(stack: Stack):
    assert call(stack, "add", a=1, b=2) == 3
    assert call(stack, "add", a=1) == 11


def test_json_goes_in_and_out_unchanged(stack: Stack):
    value = {"a": [1, 2.5, None, "ü"], "b": {"c": 2**60}}
    assert call(stack, "echo", value=value) == value


def test_void_is_204_which_supabase_py_gives_as_an_empty_list(stack: Stack):
    answer = post(stack, "nothing")
    assert (answer.status_code, answer.content) == (204, b"")
    assert call(stack, "nothing") == []


def test_null_is_null(stack: Stack):
    assert call(stack, "null_value") is None


def test_a_set_of_scalars_is_an_array(stack: Stack):
    assert call(stack, "numbers", n=3) == [1, 2, 3]
    assert call(stack, "numbers", n=0) == []


def test_any_out_argument_makes_the_result_composite(stack: Stack):
    assert call(stack, "one_out") == {"x": 5}
    assert call(stack, "pair") == {"x": 5, "y": "five"}


def test_a_table_is_an_array_of_objects(stack: Stack):
    assert call(stack, "rows", n=2) == [{"i": 1, "name": "row 1"}, {"i": 2, "name": "row 2"}]


def test_a_set_is_cut_at_a_thousand_rows_without_a_word(stack: Stack):
    answer = post(stack, "numbers", '{"n": 2500}')
    assert answer.status_code == 200
    assert len(answer.json()) == 1000
    assert answer.headers["content-range"] == "0-999/*"


def test_a_vector_may_be_an_array_or_a_string_but_many_vectors_must_be_strings(stack: Stack):
    assert call(stack, "length_of", v=[1, 2, 3]) == 3
    assert call(stack, "length_of", v="[1,2,3]") == 3
    assert call(stack, "count_vectors", v=["[1,2]", "[3,4]"]) == 2
    with pytest.raises(APIError):
        call(stack, "count_vectors", v=[[1, 2], [3, 4]])


def test_a_single_unnamed_json_argument_takes_the_whole_body(stack: Stack):
    assert call(stack, "whole", a=5) == 5


def test_an_array_of_objects_stands_for_its_first(stack: Stack):
    assert post(stack, "add", '[{"a": 1, "b": 1}, {"a": 5, "b": 5}]').json() == 2


def test_the_secret_key_is_the_service_role(stack: Stack):
    told = call(stack, "whoami")
    assert told["role"] == "service_role"
    assert told["claims"]["role"] == "service_role"
    assert (told["method"], told["path"]) == ("POST", "/rpc/whoami")


def test_the_publishable_key_is_anonymous(stack: Stack):
    client = stack.client(stack.keys.publishable)
    assert client.rpc("whoami", {}).execute().data["role"] == "anon"


def test_a_users_token_is_that_user(stack: Stack):
    user = "7b0c5d3e-1111-4222-8333-444455556666"
    client = stack.client(stack.keys.publishable, stack.keys.user_token(user))
    told = client.rpc("whoami", {}).execute().data
    assert (told["role"], told["uid"]) == ("authenticated", user)


def test_a_legacy_jwt_key_works_as_both_headers(stack: Stack):
    key = stack.keys.user_token("x", role="service_role")
    told = post(stack, "echo", '{"value": 1}', apikey=key, authorization=f"Bearer {key}")
    assert told.status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"apikey": ""}, None),
        ({"apikey": "sb_secret_wrong"}, None),
        ({"authorization": "Bearer not.a.jwt"}, "PGRST301"),
    ],
)
def test_a_key_that_is_missing_or_wrong_is_401(
    stack: Stack, headers: dict[str, str], code: str | None
):
    answer = post(stack, "whoami", **headers)
    assert answer.status_code == 401
    assert answer.json().get("code") == code


def test_an_expired_token_is_401(stack: Stack):
    token = stack.keys.user_token("u", exp=int(time.time()) - 60)
    answer = post(stack, "whoami", authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST303")


def test_a_right_not_granted_is_403_and_401_for_the_anonymous(stack: Stack):
    token = stack.keys.user_token("7b0c5d3e-1111-4222-8333-444455556666")
    signed_in = post(stack, "private", authorization=f"Bearer {token}")
    anonymous = post(stack, "private", apikey=stack.keys.publishable)
    assert (signed_in.status_code, signed_in.json()["code"]) == (403, "42501")
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "42501")


def test_a_get_and_a_stable_function_run_read_only(stack: Stack):
    assert call(stack, "whoami")["read_only"] == "on"
    answer = httpx.get(
        f"{stack.supabase_url}/rest/v1/rpc/write_note?id=1", headers={"apikey": stack.keys.secret}
    )
    assert (answer.status_code, answer.json()["code"]) == (405, "25006")


def test_a_failed_call_leaves_nothing_behind_and_a_duplicate_is_409(stack: Stack):
    assert call(stack, "write_note", id=7) == []
    answer = post(stack, "write_note", '{"id": 7}')
    assert (answer.status_code, answer.json()["code"]) == (409, "23505")


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [
        ("P0001", 400), ("P0002", 500), ("40001", 500), ("42501", 403), ("PT418", 418),
        ("PT409", 409), ("22P02", 400), ("23503", 409), ("23514", 400), ("53300", 503),
        ("57P01", 503), ("57014", 500), ("08006", 503), ("28000", 403), ("42P01", 404),
        ("XX000", 500), ("21000", 500),
    ],
)  # fmt: skip
def test_an_sqlstate_becomes_its_http_status(stack: Stack, sqlstate: str, status: int):
    answer = post(stack, "raise_error", json.dumps({"code": sqlstate}))
    assert answer.status_code == status
    assert answer.json() == {"code": sqlstate, "message": "told", "details": "more", "hint": "try"}
    assert answer.headers["proxy-status"] == f"PostgREST; error={sqlstate}"


def test_supabase_py_gives_the_error_with_its_code(stack: Stack):
    with pytest.raises(APIError) as caught:
        call(stack, "raise_error", code="P0001")
    assert (caught.value.code, caught.value.message) == ("P0001", "told")


def test_an_unknown_name_or_argument_is_404_naming_what_was_looked_for(stack: Stack):
    answer = post(stack, "add", '{"b": 1, "a": 1, "c": 2}')
    assert answer.status_code == 404
    assert answer.json()["code"] == "PGRST202"
    assert "public.add(a, b, c)" in answer.json()["message"]
    assert post(stack, "on_note").json()["code"] == "PGRST202"
    assert "without parameters" in post(stack, "no_such").json()["message"]


def test_two_overloads_that_both_fit_are_300(stack: Stack):
    answer = post(stack, "same", '{"a": 1}')
    assert (answer.status_code, answer.json()["code"]) == (300, "PGRST203")


@pytest.mark.parametrize("body", ["{", "nope", '{"a": NaN}'])
def test_a_body_that_is_not_json_is_400(stack: Stack, body: str):
    answer = post(stack, "add", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


def test_a_value_of_the_wrong_type_is_400(stack: Stack):
    assert post(stack, "add", '{"a": 1e3}').json()["code"] == "22P02"


def test_other_methods_schemas_and_unknown_tables_are_refused(stack: Stack):
    base, headers = f"{stack.supabase_url}/rest/v1", {"apikey": stack.keys.secret}
    assert httpx.put(f"{base}/rpc/add", headers=headers).json()["code"] == "PGRST101"
    assert post(stack, "add", **{"Content-Profile": "memoria"}).json()["code"] == "PGRST106"
    assert httpx.get(f"{base}/no_such", headers=headers).json()["code"] == "PGRST205"


def test_a_functions_own_statement_timeout_holds_for_its_call(stack: Stack):
    assert call(stack, "timeout") == "7s"
    answer = post(stack, "too_slow")
    assert (answer.status_code, answer.json()["code"]) == (500, "57014")


def test_a_call_has_the_limits_of_the_role_that_it_takes_on(stack: Stack):
    for key, seconds in ((stack.keys.publishable, "3s"), (stack.keys.secret, "8s")):
        limits = stack.client(key).rpc("limits", {}).execute().data
        assert limits == {"statement": seconds, "lock": "8s"}


def test_what_safeupdate_refuses_is_400(stack: Stack):
    answer = post(stack, "careless")
    assert (answer.status_code, answer.json()["code"]) == (400, "21000")


def test_a_function_may_choose_its_status(stack: Stack):
    assert post(stack, "teapot").status_code == 418
