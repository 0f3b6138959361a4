from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.database.caller import Database, wait_until_blocked


def test_settings_change_one_kind_at_a_time(db: Database) -> None:
    answer = db.service("configure", settings={"max_in_flight": {"process": 3}})
    assert answer["max_in_flight"] == {"process": 3, "cluster": 2, "callback": 16}
    assert db.service("configure", settings={}) == answer


def test_every_problem_is_named_at_once_and_nothing_is_changed(db: Database) -> None:
    before = db.service("configure", settings={})
    with pytest.raises(psycopg.Error) as wrong:
        db.service(
            "configure",
            settings={
                "no_such": 1, "quiet_period_seconds": "soon", "callbacks": 1,
                "max_in_flight": {"proces": 1}, "process_url": "ftp://x",
                "backoff_first_seconds": -1, "webhook_secret": 7, "max_attempts": {"process": 9},
            },
        )  # fmt: skip
    message = str(wrong.value)
    for named in (
        "no_such", "quiet_period_seconds must be a number", "callbacks must be a boolean",
        "max_in_flight takes a number", "process_url must be an http",
        "backoff_first_seconds must be from 0.01 to 3600",
        "webhook_secret must be text",
    ):  # fmt: skip
        assert named in message
    assert "max_attempts" not in message
    assert db.service("configure", settings={}) == before


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not*base64", "whsec_YWJj=", "whsec_YWJ"])
def test_a_secret_that_could_sign_nothing_is_refused(db: Database, secret: str) -> None:
    with pytest.raises(psycopg.Error, match="must be base64"):
        db.service("configure", settings={"webhook_secret": secret})


@pytest.mark.parametrize("secret", ["plain", "whsec_YWJj", "whsec_YWI=", "whsec_YQ=="])
def test_both_forms_of_secret_are_kept(db: Database, secret: str) -> None:
    db.service("configure", settings={"webhook_secret": secret})
    assert db.value("select memoria.secret('webhook_secret')") == secret


def test_secrets_go_to_vault_where_there_is_one(db: Database) -> None:
    db.do(
        "create schema vault; create table vault.secrets (id uuid default gen_random_uuid(),"
        " secret text, name text unique);"
        " create view vault.decrypted_secrets as select id, name, secret as decrypted_secret"
        " from vault.secrets;"
        " create function vault.create_secret(new_secret text, new_name text default null,"
        " new_description text default '', new_key_id uuid default null) returns uuid language sql"
        " as 'insert into vault.secrets (secret, name) values ($1, $2) returning id';"
        " create function vault.update_secret(secret_id uuid, new_secret text default null)"
        " returns void language sql as 'update vault.secrets set secret = $2 where id = $1'"
    )
    for secret in ("first", "second"):
        answer = db.service(
            "configure", settings={"webhook_secret": secret, "process_url": f"https://{secret}"}
        )
        assert (answer["webhook_secret"], answer["process_url"]) == ("set", f"https://{secret}")
    assert db.rows("select name, secret from vault.secrets order by name") == [
        ("memoria_process_url", "https://second"),
        ("memoria_webhook_secret", "second"),
    ]
    assert db.value("select value from memoria.settings where key = 'webhook_secret'") is None
    cleared = db.service("configure", settings={"webhook_secret": None})
    assert cleared["webhook_secret"] == "not set"


def test_the_sweeper_is_scheduled_where_there_is_a_cron(db: Database) -> None:
    assert db.service("doctor")["cron"] is None
    db.do(
        "create schema cron; create table cron.job (jobid bigint generated always as identity,"
        " jobname text unique, schedule text, command text, active boolean default true);"
        " create table cron.job_run_details (jobid bigint, runid bigint, status text,"
        " return_message text, start_time timestamptz, end_time timestamptz, command text);"
        " create function cron.schedule(job_name text, schedule text, command text) returns bigint"
        " language sql as 'insert into cron.job (jobname, schedule, command) values ($1, $2, $3)"
        " on conflict (jobname) do update set schedule = excluded.schedule returning jobid'"
    )
    db.configure()
    db.configure()
    assert db.rows("select jobname, schedule from cron.job order by 1") == [
        ("memoria-prune-cron", "17 3 * * *"),
        ("memoria-sweep", "30 seconds"),
    ]
    for command in db.rows("select command from cron.job order by jobname"):
        db.do(command)
    assert db.service("doctor")["cron"] == {
        "schedule": "30 seconds", "active": True, "last_run": None,
    }  # fmt: skip


def test_the_doctor_knows_the_migrations(db: Database) -> None:
    doctor = db.service("doctor")
    assert doctor["migrations"][0] == "20261125000000"
    assert (doctor["pg_net"], doctor["vault"]) == (False, False)
    assert "vector" in doctor["extensions"]


def test_the_status_shows_depth_oldest_and_failures_by_reason(db: Database) -> None:
    db.configure(max_in_flight={"process": 1})
    for n in range(3):
        db.service.enqueue(f"m{n}")
    for code in ("media_too_large", "unreadable_media"):
        db.service.fail(db.service.claim(db.dispatched("process")[0]), terminal=True, code=code)
    db.service.enqueue("m4")
    db.do("update memoria.jobs set created_at = created_at - interval '90 seconds'")
    status = db.service("status")
    depth = {(row["kind"], row["status"]): row["jobs"] for row in status["queue"]}
    assert depth["process", "failed"] == 2
    assert depth["process", "queued"] == 1
    assert status["in_flight"]["process"] == {"now": 1, "most": 1}
    # a nudge on its way is not work being done: what is dispatched waits, too
    oldest = next(row for row in status["oldest_waiting"] if row["kind"] == "process")
    assert oldest["media_id"] == "m2"
    assert 90 <= oldest["seconds"] < 120
    reasons = {row["code"]: (row["jobs"], row["last_message"]) for row in status["failures"]}
    assert reasons == {
        "media_too_large": (1, "It did not work."),
        "unreadable_media": (1, "It did not work."),
    }


def test_requeue_takes_one_a_kind_or_a_reason(db: Database) -> None:
    jobs = {}
    for media, code in (("m1", "a"), ("m2", "b"), ("m3", "b")):
        jobs[media] = db.service.enqueue(media)
        db.service.fail(db.service.claim(jobs[media]), terminal=True, code=code)
    assert db.service("requeue", code="b") == {"requeued": 2}
    assert db.service("requeue", job_id=jobs["m1"]["job_id"]) == {"requeued": 1}
    assert db.service("requeue") == {"requeued": 0}
    assert db.rows("select distinct status from memoria.media") == ["pending"]
    assert db.rows("select distinct attempts from memoria.jobs where kind = 'process'") == [0]
    assert db.service.claim(jobs["m2"])["outcome"] == "claimed"


def test_requeue_leaves_alone_what_another_job_did_or_does(db: Database) -> None:
    for media in ("done", "under way"):
        db.service.fail(db.service.claim(db.service.enqueue(media)), terminal=True)
    db.service.process("done")
    db.service.enqueue("under way")
    assert db.service("requeue", kind="process") == {"requeued": 0}
    assert db.value("select status from memoria.media where id = 'done'") == "completed"


def test_requeue_waits_for_no_event_in_which_nothing_is_to_be_done(db: Database) -> None:
    """Before, it locked the event of every dead job that it read, however many those were."""
    db.service.fail(db.service.claim(db.service.enqueue("done", "zoo")), terminal=True)
    db.service.process("done", event="zoo")
    db.service.fail(db.service.claim(db.service.enqueue("dead")), terminal=True)
    db.service.connection.execute("set lock_timeout = '500ms'")
    with psycopg.connect(db.url) as other:
        other.execute("select from memoria.events where id = 'zoo' for no key update")
        assert db.service("requeue", kind="process") == {"requeued": 1}


def test_requeue_leaves_alone_what_is_archived_while_it_waits(db: Database) -> None:
    db.service.fail(db.service.claim(db.service.enqueue("dead")), terminal=True)
    with psycopg.connect(db.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select public.memoria_archive_event('party')")
        told = pool.submit(db.service, "requeue", kind="process")
        wait_until_blocked(db.rows, told)
        other.commit()
        assert told.result() == {"requeued": 0}
    assert db.value("select status from memoria.jobs where kind = 'process'") == "failed"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"nudge_timeout_ms": 0}, "nudge_timeout_ms must be from 100 to 60000"),
        ({"nudge_timeout_ms": 1234.5}, "nudge_timeout_ms must be a whole number"),
        ({"max_attempts": {"process": 0}}, "max_attempts.process must be from 1 to 100"),
        ({"max_in_flight": {"process": 1e10}}, "max_in_flight.process must be from 0 to 10000"),
        ({"max_in_flight": {"process": 1.5}}, "max_in_flight.process must be a whole number"),
        ({"quiet_period_seconds": 1e10}, "quiet_period_seconds must be from 0 to 86400"),
        ({"process_url": "https://a b.example/"}, "process_url must be an http or https URL"),
        ({"process_url": "https://"}, "process_url must be an http or https URL"),
        ({"webhook_secret": ""}, "webhook_secret must not be empty"),
    ],
)
def test_every_number_has_a_least_and_a_most(
    db: Database, setting: dict[str, object], message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message):
        db.service("configure", settings=setting)


@pytest.mark.parametrize("bound", ["least", "most"])
def test_the_sweeper_and_the_dispatcher_live_at_every_bound(db: Database, bound: str) -> None:
    numbers = db.rows(
        f"select key, per_kind, {bound}::float from memoria.settings where {bound} is not null"
    )
    kinds = ("process", "cluster", "callback")
    for key, per_kind, value in numbers:
        number = int(value) if value == int(value) else value
        db.configure(**{key: dict.fromkeys(kinds, number) if per_kind else number})
    db.service.enqueue("m1")
    db.service("sweep")
    db.service("sweep_if_due")
    assert db.service("status")["queue"]


def cron(db: Database, *, refuses: str) -> None:
    """A pg_cron that raises for schedules like this."""
    db.do(
        "create schema cron; create table cron.job (jobid bigint generated always as identity,"
        " jobname text unique, schedule text, command text, active boolean default true);"
        " create table cron.job_run_details (jobid bigint, runid bigint, status text,"
        " return_message text, start_time timestamptz, end_time timestamptz, command text);"
        " create function cron.schedule(job_name text, schedule text, command text) returns bigint"
        f" language plpgsql as $$ begin if schedule like '{refuses}' then"
        " raise exception 'invalid schedule: %', schedule; end if;"
        " insert into cron.job (jobname, schedule, command) values ($1, $2, $3)"
        " on conflict (jobname) do update set schedule = excluded.schedule; return 1; end $$"
    )


def test_a_cron_that_knows_no_seconds_sweeps_every_minute(db: Database) -> None:
    cron(db, refuses="%seconds")
    db.configure()
    assert db.service("doctor")["cron"]["schedule"] == "* * * * *"
    assert db.service("doctor")["cron_error"] is None


def test_a_cron_that_refuses_does_not_keep_settings_from_being_changed(db: Database) -> None:
    cron(db, refuses="%")
    db.configure(quiet_period_seconds=3)
    doctor = db.service("doctor")
    assert doctor["settings"]["quiet_period_seconds"] == 3
    assert doctor["cron"] is None
    assert "invalid schedule" in doctor["cron_error"]


def test_the_run_history_of_an_unscheduled_sweep_is_pruned(db: Database) -> None:
    cron(db, refuses="never")
    db.configure()
    db.do(
        "insert into cron.job_run_details (jobid, command, end_time) values"
        " (99, 'select public.memoria_sweep()', now() - interval '3 days'),"
        " (98, 'select the_apps_own()', now() - interval '3 days')"
    )
    db.do(db.value("select command from cron.job where jobname = 'memoria-prune-cron'"))
    assert db.rows("select jobid from cron.job_run_details") == [98]


def test_a_vault_that_cannot_be_decrypted_stops_neither_settings_nor_nudges(db: Database) -> None:
    """After its root key changed every read and update raises; deleting and making anew works."""
    db.do(
        "create schema vault; create table vault.secrets (id uuid default gen_random_uuid(),"
        " secret text, name text unique, broken boolean default false);"
        " create function vault.decrypt(secret text, broken boolean) returns text"
        " language plpgsql as $$ begin if broken then raise 'invalid ciphertext'; end if;"
        " return secret; end $$;"
        " create view vault.decrypted_secrets as select id, name,"
        " vault.decrypt(secret, broken) as decrypted_secret from vault.secrets;"
        " create function vault.create_secret(new_secret text, new_name text default null,"
        " new_description text default '', new_key_id uuid default null) returns uuid language sql"
        " as 'insert into vault.secrets (secret, name) values ($1, $2) returning id'"
    )
    db.configure(process_url="https://one.example", webhook_secret="s")
    db.do("update vault.secrets set broken = true")
    faults = db.service("doctor")["vault_faults"]
    assert faults == dict.fromkeys(("process_url", "webhook_secret"), "invalid ciphertext")
    job = db.service.enqueue("m1")
    assert db.service.claim(job)["outcome"] == "claimed"
    answer = db.service("configure", settings={"process_url": "https://two.example"})
    assert answer["process_url"] == "https://two.example"
    assert db.service("doctor")["vault_faults"].keys() == {"webhook_secret"}
