"""What a value may hold: in .env, in a header, in curl's config, on a command line."""

import re
import subprocess

import jwt
import psycopg
import pytest

from local.processes.postgres import Postgres
from local.processes.postgres_files import binaries
from memoria.config import BadConfiguration, Settings
from tests.deploy.project import ROOT, SETTINGS, Cloud

ONE = ("--no-build", "--only", "process")  # as much as a value needs to arrive everywhere
ODD = [
    'pa"ss',
    "pa\\ss",
    "pa\\\"s's",
    "two words",
    "#hash $(x) `y` %41 \\n \\t",
    "'; drop table x; --",
    "{}[]<>&|~^*?!@:,=",
    "Bearer\\",
]


@pytest.mark.parametrize("secret", ODD)
def test_an_odd_secret_arrives_at_the_services_and_at_supabase(cloud: Cloud, secret: str) -> None:
    done = cloud.deploy(*ONE, WEBHOOK_SECRET=secret, SUPABASE_SERVICE_ROLE_KEY=secret)
    assert done.returncode == 0, done.stderr
    presented = {request.headers.get("authorization") for request in cloud.net.requests}
    assert presented == {None, f"Bearer {secret}"}
    assert cloud.secret("webhook-secret") == [secret]
    assert cloud.configured()["webhook_secret"] == secret


BAD_SECRETS = ["caf\u00e9", "a\nb", "a\rb", "a\tb", "a\x7fb", "a\x1fb", "a\u2028b", "a\u200b"]


@pytest.mark.parametrize("secret", BAD_SECRETS)
@pytest.mark.parametrize("name", ["SUPABASE_SERVICE_ROLE_KEY", "WEBHOOK_SECRET_PREVIOUS"])
def test_what_cannot_be_a_header_is_refused_at_once(cloud: Cloud, name: str, secret: str) -> None:
    done = cloud.deploy(**{name: secret})
    assert done.returncode == 1
    assert f"  {name}: must" in done.stderr
    assert secret not in done.stderr
    assert cloud.changes() == []


URLS = [
    "https://[2001:db8::1]/cb",
    "https://app.example/cb?x=^::^a::b|c;d,e%f~g",
    "https://app.example/?a=1::LD_PRELOAD=/tmp/x.so",
]


@pytest.mark.parametrize("secret", [*ODD, *BAD_SECRETS, "a b\r", "a b\r\n", " a "])
def test_deploy_and_the_services_refuse_the_same(secret: str) -> None:
    words = [
        "bash",
        str(ROOT / "deploy.sh"),
        "--dry-run",
        "--project",
        "p-1",
        "--env-file",
        "/dev/null",
    ]
    known = {**SETTINGS, "SUPABASE_URL": "https://a.example", "WEBHOOK_SECRET": secret}
    done = subprocess.run(
        words, env={"PATH": "/usr/bin:/bin", **known}, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == starts(known), done.stderr


@pytest.mark.parametrize(
    "url",
    [*URLS, "https://app.example/a b", "https://bücher.example", "https://me:pw@app.example/",
     "https://app.example/#part", "https://", "app.example", "https://app.example:8443/x/@y",
     "https://your-project.supabase.co", "https://your-app.example/memoria",
     "https://supabase.com/dashboard/project/abcd", "https://abcd.supabase.co/rest/v1/",
     "https://abcd.supabase.co/", "https://self.example/rest/v1"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["CALLBACK_URL", "SUPABASE_URL"])
def test_deploy_and_the_services_refuse_the_same_address(cloud: Cloud, name: str, url: str) -> None:
    known = {**SETTINGS, "SUPABASE_URL": "https://a.example", name: url}
    done = cloud.deploy("--dry-run", **known)
    assert (done.returncode == 0) == starts(known), done.stderr
    assert done.returncode == 0 or f"  {name}: must be" in done.stderr


def test_all_that_is_missing_is_told_at_once_and_where_to_write_it(cloud: Cloud) -> None:
    words = ["bash", str(ROOT / "deploy.sh"), "--dry-run", "--env-file", "/dev/null"]
    gcloud = cloud.folder / "bin" / "gcloud"
    gcloud.write_text("#!/bin/sh\necho '(unset)'\n")
    path = cloud.environ()["PATH"]
    done = subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    names = ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "CALLBACK_URL", "CALLBACK_SECRET")
    for name in ("project", *names):
        assert f"  {name}: is missing" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("write what is missing into .env, of which .env.example is the template")


def test_what_is_missing_is_told_with_what_is_wrong(cloud: Cloud) -> None:
    cloud.settings = {"LOG_LEVEL": "verbose", "SUPABASE_SERVICE_ROLE_KEY": "", "MAX_IN_FLIGHT": "x"}
    done = cloud.deploy()
    for line in ("LOG_LEVEL: cannot be", "MAX_IN_FLIGHT: must be", "CALLBACK_SECRET: is missing"):
        assert f"  {line}" in done.stderr
    assert cloud.project.calls == []


def test_a_wrong_setting_of_the_functions_does_not_bar_the_way_back(twice: Cloud) -> None:
    done = twice.deploy("rollback", LOG_LEVEL="verbose", SUPABASE_URL="nonsense")
    assert done.returncode == 0, done.stderr


OURS, THEIRS = 20 * "a", 20 * "b"  # projects


@pytest.mark.parametrize(
    ("host", "ref", "is_taken"),
    [(OURS, OURS, True), (OURS, THEIRS, False), (OURS, None, True), ("mybrand", THEIRS, True)],
    ids=["ours", "another's", "a new key", "a vanity subdomain"],
)
def test_a_key_of_another_project_is_refused(
    cloud: Cloud, host: str, ref: str | None, *, is_taken: bool
) -> None:
    claims = {"role": "service_role", "ref": ref} if ref else {"role": "service_role"}
    key = jwt.encode(claims, "a secret of at least 32 characters")
    given = {"SUPABASE_URL": f"https://{host}.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": key}
    done = cloud.deploy("--dry-run", **given)
    assert (done.returncode == 0) == is_taken, done.stderr
    told = (
        f"SUPABASE_SERVICE_ROLE_KEY: is that of the project {THEIRS}, SUPABASE_URL that of {OURS}"
    )
    assert (told in done.stderr) != is_taken


def test_connect_asks_only_for_what_it_tells(deployed: Cloud) -> None:
    done = deployed.deploy("connect", LOG_LEVEL="notice", DET_SIZE="1")
    assert done.returncode == 0, done.stderr


def test_settings_may_come_by_any_descriptor(cloud: Cloud) -> None:
    """The plan has a descriptor of its own, which bash chooses: the caller may have any."""
    file = cloud.folder / "settings"
    file.write_text("".join(f"{name}={value}\n" for name, value in cloud.settings.items()))
    command = [*cloud.command("--dry-run", "--env-file", "/dev/fd/3")]
    cloud.settings = {}
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" 3<{file}', "-", *command], env=cloud.environ(),
        cwd=cloud.folder, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_secret_that_can_be_guessed_is_said(cloud: Cloud) -> None:
    done = cloud.deploy("--dry-run", CALLBACK_SECRET="abc")
    assert "CALLBACK_SECRET is short enough to be guessed" in done.stderr
    assert "short enough" not in cloud.deploy("--dry-run", CALLBACK_SECRET=16 * "a").stderr


def test_names_that_are_misspelt_are_told(cloud: Cloud) -> None:
    file = cloud.folder / ".env"
    file.write_text("MAX_INFLIGHT=3\nCPU=2\n# OTHER=1\nSEARCH_ORIGIN=x\nVITE_TITLE=mine\n")
    done = cloud.deploy("--dry-run", "--env-file", str(file))
    told = "MAX_INFLIGHT (MAX_IN_FLIGHT?) SEARCH_ORIGIN (SEARCH_ORIGINS?)\n"
    assert f"in {file}, not read by deploy.sh: {told}" in done.stderr
    file.write_text("CPU=2\n")
    assert "not read" not in cloud.deploy("--dry-run", "--env-file", str(file)).stderr


def test_of_a_command_without_settings_a_missing_project_is_told_alone(cloud: Cloud) -> None:
    (cloud.folder / "bin" / "gcloud").write_text("#!/bin/sh\n")
    words = ["bash", str(ROOT / "deploy.sh"), "monitoring", "--env-file", "/dev/null"]
    done = subprocess.run(words, env=cloud.environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no project: --project ID" in done.stderr


KEYS = [
    ("sb_publishable_x", False),
    *((jwt.encode({"role": role}, "a secret of at least 32 characters"), role != "anon")
      for role in ("anon", "service_role")),
    ("not.a.token", True),
]  # fmt: skip


@pytest.mark.parametrize(("key", "is_taken"), KEYS)
def test_deploy_and_the_services_take_the_same_keys(
    cloud: Cloud, key: str, *, is_taken: bool
) -> None:
    name = "SUPABASE_SERVICE_ROLE_KEY"
    known = {**SETTINGS, "SUPABASE_URL": "https://a.example", name: key}
    assert starts(known) == is_taken
    done = cloud.deploy("--dry-run", **known)
    assert (f"  {name}: must be a secret key" not in done.stderr) == is_taken
    assert (done.returncode == 0) == is_taken, done.stderr


@pytest.mark.parametrize(
    ("secret", "is_taken"),
    [("whsec_YWJj", True), ("whsec_YWI=", True), ("whsec_YWJj=", False), ("whsec_", False)],
)
def test_deploy_and_the_services_take_the_same_signing_keys(
    cloud: Cloud, secret: str, *, is_taken: bool
) -> None:
    known = {**SETTINGS, "SUPABASE_URL": "https://a.example", "CALLBACK_SECRET": secret}
    assert starts(known) == is_taken
    assert (cloud.deploy("--dry-run", **known).returncode == 0) == is_taken


def starts(environ: dict[str, str]) -> bool:
    try:
        Settings.from_env(environ)
    except BadConfiguration:
        return False
    return True


@pytest.mark.parametrize("url", URLS)
def test_no_value_makes_another_variable(cloud: Cloud, url: str) -> None:
    done = cloud.deploy(*ONE, CALLBACK_URL=url)
    assert done.returncode == 0, done.stderr
    (revision,) = cloud.revisions()
    given = cloud.service()["revisions"][revision]["env"]
    assert given["CALLBACK_URL"] == url
    assert "LD_PRELOAD" not in given


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--tag", "a,_PYTHON_IMAGE=evil"], {}),
        (["--tag", "$(touch pwned)"], {}),
        ([], {"MODEL_PACK": "buffalo_l,_PYTHON_IMAGE=evil"}),
        ([], {"PYTHON_IMAGE": "python:3,_TEST=yes"}),
        ([], {"WEIGHTS": "gs://bucket/a,b"}),
        (["--region", "us-central1 --flag"], {}),
        (["--region", "atlantis"], {}),
        (["--project", "p,q"], {}),
        ([], {"MAX_IN_FLIGHT": "ten"}),
        ([], {"MAX_IN_FLIGHT": "-1"}),
        ([], {"MAX_IN_FLIGHT": "99999999999999999999"}),
        ([], {"MEMORY": "2"}),
        ([], {"INVOKER_IAM": "no"}),
        ([], {"USE_GPU": "maybe"}),
        ([], {"DATABASE_URL": "host=db password=secret"}),
        ([], {"DATABASE_URL": "postgresql://me:se/cret@db/postgres"}),
        ([], {"DATABASE_URL": "postgresql://me:se@cret@db/postgres"}),
        ([], {"DATABASE_URL": "postgresql://me@db/postgres?password=secret"}),
        ([], {"DATABASE_URL": "postgresql://me@db/postgres?p%61ssword=secret"}),
        ([], {"DATABASE_URL": "postgresql://me@db?sslmode=require&sslpassword=secret"}),
        ([], {"DATABASE_URL": "postgresql://me:se%zzcret@db/postgres"}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    cloud: Cloud, words: list[str], environ: dict[str, str]
) -> None:
    done = cloud.deploy(*words, **environ)
    assert done.returncode == 1
    name = next(iter(environ), words[0].strip("-").upper() if words else "")
    assert f"  {name}: " in done.stderr
    assert "secret" not in done.stderr
    assert cloud.project.calls == []


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"MEMORY": "2"}, "  MEMORY: cannot be 2 (such as 2Gi)"),
        ({"CLUSTER_CPU": "x"}, "  CLUSTER_CPU: cannot be x (such as 2)"),
        ({"SEARCH": "yes"}, "  SEARCH: cannot be yes (on or off)"),
        ({"REGION": "Europe West"}, "  REGION: cannot be Europe\\ West (such as europe-west1)"),
    ],
)
def test_what_can_be_is_told_with_what_cannot(
    cloud: Cloud, environ: dict[str, str], told: str
) -> None:
    lines = cloud.deploy(**environ, CALLBACK_URL="http://a.example").stderr.splitlines()
    assert told in lines
    assert any(line.startswith("  CALLBACK_URL: must be") for line in lines)


def test_every_value_that_cannot_be_has_an_example() -> None:
    script = (ROOT / "deploy" / "values.sh").read_text()
    alphabet, meant = (
        set(re.findall(r"\[([A-Z_]+)\]=", script.split(f"declare -A {name}=(")[1].split("\n)")[0]))
        for name in ("ALPHABET", "MEANT")
    )
    assert {name.removeprefix("CLUSTER_") for name in alphabet} == meant


def test_a_number_with_a_leading_zero_is_decimal(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2", MAX_IN_FLIGHT="010")
    assert deployed.configured()["max_in_flight"] == {"process": 10, "callback": 5}


ENV_FILE = r"""# comment
PATH=/nowhere
EVIL=$(touch pwned)
SUPABASE_URL=https://first.example
SUPABASE_URL=%URL%   # the project
  export CALLBACK_URL = "https://app.example/~top" # quoted "well"
CALLBACK_SECRET='a # b'
SUPABASE_SERVICE_ROLE_KEY=sb_secret_x#y
WEBHOOK_SECRET="in"side"
MEDIA_URL_HOSTS=    # none
ACCEPT_INSIGHTFACE_LICENSE=yes
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_an_env_file_is_read_and_never_executed(cloud: Cloud, ending: str, mark: str) -> None:
    file = cloud.folder / ".env"
    text = ENV_FILE.replace("%URL%", cloud.net.url).replace("\n", ending)
    file.write_bytes((mark + text).encode())
    cloud.settings = {}
    done = cloud.deploy(*ONE, "--env-file", str(file))
    assert done.returncode == 0, done.stderr
    assert not (cloud.folder / "pwned").exists()
    assert cloud.secret("callback-secret") == ["a # b"]
    assert cloud.secret("supabase-service-role-key") == ["sb_secret_x#y"]
    assert cloud.secret("webhook-secret") == ['in"side']
    (revision,) = cloud.revisions()
    given = cloud.service()["revisions"][revision]["env"]
    assert given["CALLBACK_URL"] == "https://app.example/~top"
    assert given["SUPABASE_URL"] == cloud.net.url
    assert "MEDIA_URL_HOSTS" not in given


def test_the_environment_wins_over_the_env_file(cloud: Cloud) -> None:
    file = cloud.folder / ".env"
    file.write_text("CALLBACK_URL=https://file.example\nCALLBACK_SECRET=of-the-file\n")
    cloud.settings["CALLBACK_URL"] = "off"
    done = cloud.deploy(*ONE, "--env-file", str(file), CALLBACK_SECRET="")
    assert done.returncode == 0, done.stderr
    assert cloud.secret("callback-secret") == ["of-the-file"]
    (revision,) = cloud.revisions()
    assert cloud.service()["revisions"][revision]["env"]["CALLBACK_URL"] == "off"


def test_a_value_with_the_line_ending_of_windows_is_that_value(cloud: Cloud) -> None:
    """As after ``set -a; . .env`` with a .env from Windows."""
    cloud.settings = {name: f"{value}\r" for name, value in cloud.settings.items()}
    done = cloud.deploy(*ONE)
    assert done.returncode == 0, done.stderr
    assert cloud.secret("callback-secret") == [SETTINGS["CALLBACK_SECRET"]]


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        ("postgres://me:pass@db.example/postgres", "postgres://me@db.example/postgres", "pass"),
        ("postgresql://me:p%40s%2F%5C%25s@db:6543/x", "postgresql://me@db:6543/x", "p@s/\\%s"),
        ("postgresql://me:a\\nb@db/x", "postgresql://me@db/x", "a\\nb"),
        ("postgresql://me@db/x", "postgresql://me@db/x", ""),
    ],
)
def test_the_databases_password_is_on_no_command_line(
    deployed: Cloud, url: str, shown: str, password: str
) -> None:
    done = deployed.deploy("connect", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    (call,) = deployed.recorded("psql")
    assert call.words[0] == shown
    assert call.password == password
    assert not password or password not in done.stderr
    assert "memoria_configure" in call.input
    assert password not in " ".join(call.words) or not password


def test_a_database_url_on_the_command_line_is_refused(cloud: Cloud) -> None:
    done = cloud.deploy("--database-url", "postgres://me:pass@db/x")
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert "pass@" not in done.stderr


def test_a_folder_is_no_env_file(cloud: Cloud) -> None:
    done = cloud.deploy("--env-file", str(cloud.folder))
    assert done.returncode == 1
    assert f"cannot read {cloud.folder}: it must be a file" in done.stderr
    assert cloud.project.calls == []


QUOTING = "'; select 1/0; -- $memoria$ $$ \\' \\\\ \" :x %"


def test_the_real_psql_tells_a_real_database(deployed: Cloud) -> None:
    psql = binaries() / "psql"
    if not psql.exists():
        pytest.skip("the embedded PostgreSQL has no psql")
    (deployed.folder / "bin" / "psql").unlink()
    (deployed.folder / "bin" / "psql").symlink_to(psql)
    with Postgres() as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "create table public.told (settings jsonb);"
            "create function public.memoria_configure(s jsonb) returns void language sql"
            " as 'insert into public.told values (s)'"
        )
        url = server.url.replace("postgres@", "postgres:p%40ss@")
        deployed.secret("webhook-secret")[0] = QUOTING
        for standard in ("on", "off"):
            connection.execute(
                f"alter database postgres set standard_conforming_strings = {standard}"
            )
            done = deployed.deploy("connect", DATABASE_URL=url)
            assert done.returncode == 0, done.stderr
        told = connection.execute(
            "select settings ->> 'webhook_secret' from public.told"
        ).fetchall()
    assert told == [(QUOTING,), (QUOTING,)]
