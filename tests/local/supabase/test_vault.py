"""The Vault stand-in, as the role postgres meets it."""

from collections.abc import Iterator

import psycopg
import pytest

from local.processes.postgres import Postgres


@pytest.fixture
def vault(postgres_server: Postgres) -> Iterator[psycopg.Connection]:
    url = postgres_server.create_database("vaulted")
    postgres_server.install("vaulted", "vault")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    postgres_server.drop_database("vaulted")


def keep(vault: psycopg.Connection, secret: str) -> None:
    vault.execute("select vault.create_secret(%s, 'key')", (secret,))


def read(vault: psycopg.Connection) -> str:
    query = "select decrypted_secret from vault.decrypted_secrets where name = 'key'"
    (secret,) = vault.execute(query).fetchone() or ("nothing",)
    return str(secret)


def lose_root_key(server: Postgres) -> None:
    url = server.url_of("vaulted", "supabase_admin")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("select vault._lose_root_key()")


def test_a_secret_comes_back_and_can_be_changed(vault: psycopg.Connection) -> None:
    keep(vault, "geheim ü")
    assert read(vault) == "geheim ü"
    vault.execute("select vault.update_secret(id, 'new') from vault.secrets")
    assert read(vault) == "new"
    (sealed,) = vault.execute("select secret from vault.secrets").fetchone() or ("",)
    assert sealed != "new"


def test_two_secrets_of_one_name_are_refused(vault: psycopg.Connection) -> None:
    keep(vault, "one")
    with pytest.raises(psycopg.errors.UniqueViolation):
        keep(vault, "two")


@pytest.mark.parametrize(
    "statement",
    ["insert into vault.secrets (secret) values ('x')", "update vault.secrets set name = 'x'"],
)
def test_rows_are_written_by_its_functions_only(vault: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        vault.execute(statement.encode())


def test_after_the_root_key_is_lost_only_making_anew_helps(
    vault: psycopg.Connection, postgres_server: Postgres
) -> None:
    keep(vault, "old")
    lose_root_key(postgres_server)
    for statement in (
        "select decrypted_secret from vault.decrypted_secrets",
        "select vault.update_secret(id, 'new') from vault.secrets",
    ):
        with pytest.raises(psycopg.DataError, match="invalid ciphertext"):
            vault.execute(statement)
    vault.execute("delete from vault.secrets where name = 'key'")
    keep(vault, "new")
    assert read(vault) == "new"
