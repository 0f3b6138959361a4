"""What is live stays as it was when something fails, and what is said of it is true."""

import copy
import shlex
import shutil

import pytest

from tests.deploy.cloud import secret
from tests.deploy.project import SETTINGS, Cloud, options_of

DESCRIBES = [
    "gcloud artifacts repositories describe",
    "gcloud iam service-accounts describe",
    "gcloud secrets describe memoria-callback-secret",
    "gcloud secrets versions describe",
    "gcloud secrets versions access",
    "gcloud run services describe memoria-process",
    "gcloud run services describe memoria-cluster",
]


@pytest.mark.parametrize("fails", DESCRIBES)
def test_whatever_cannot_be_asked_stops_the_deployment(deployed: Cloud, fails: str) -> None:
    before = copy.deepcopy(deployed.state)
    done = deployed.deploy("--tag", "t2", CLOUD_FAILS=fails)
    assert done.returncode == 1
    assert "RESOURCE_EXHAUSTED" in done.stderr
    for name in ("memoria-process", "memoria-cluster"):
        assert deployed.state["services"][name]["traffic"] == before["services"][name]["traffic"]
    assert all("--no-traffic" in call for call in deployed.calls() if call[:2] == ["run", "deploy"])
    assert not [words for words in deployed.changes() if " create " in words]


def test_a_secret_that_cannot_be_read_is_not_made_anew(cloud: Cloud) -> None:
    cloud.settings |= {"CALLBACK_URL": "off", "CALLBACK_SECRET": ""}
    cloud.deploy("--only", "cluster")
    done = cloud.deploy("--only", "cluster", CLOUD_FAILS="versions access .*webhook")
    assert done.returncode == 1
    assert len(cloud.secret("webhook-secret")) == 1
    assert not [words for words in cloud.changes() if words.startswith("run ")]


def test_supabase_is_not_told_a_url_that_nobody_knows(deployed: Cloud) -> None:
    for words, fails in (
        (["connect"], "services describe"),
        ([], "services describe memoria-process"),
    ):
        done = deployed.deploy(*words, CLOUD_FAILS=fails)
        assert done.returncode == 1
        assert not deployed.told()


def test_a_dashboard_that_cannot_be_looked_for_is_not_made_twice(cloud: Cloud) -> None:
    done = cloud.deploy("monitoring", CLOUD_FAILS="dashboards list")
    assert done.returncode == 1
    assert not [words for words in cloud.changes() if words.startswith("monitoring dashboards")]


TROUBLE = {
    "not ready": {"broken": {"candidate/memoria-process": 404}},
    "open to strangers": {"strangers": 200},
    "no outcome": {"outcome": '{"error": {"code": "store_unavailable"}}'},
    "an error that speaks of a status": {"outcome": '{"error": {"status": "UNAVAILABLE"}}'},
    "an outcome that is none": {"outcome": '{"status": "completed"}', "status": 500},
    "a database that is too old": {"agreement": '{"made_for": 2, "works_with": 2}'},
    "functions that are too old": {"database": '{"made_for":3,"works_with":2}'},
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=list(TROUBLE))
def test_a_revision_that_fails_its_smoke_test_gets_no_traffic(
    deployed: Cloud, trouble: dict[str, object]
) -> None:
    (old,) = deployed.revisions()
    for name, value in trouble.items():
        setattr(deployed.net, name, value)
    done = deployed.deploy("--tag", "t2", "--no-build")
    assert done.returncode == 1
    assert f"gets no traffic; memoria-process is served by {old}\n" in done.stderr
    assert deployed.serving() == {old: 100}
    assert not [words for words in deployed.changes() if "update-traffic" in words]


def test_nothing_is_promoted_before_every_service_was_tried(deployed: Cloud) -> None:
    old = deployed.serving("process")
    deployed.net.broken = {"candidate/memoria-cluster": 404}
    assert deployed.deploy("--tag", "t2").returncode == 1
    assert deployed.serving("process") == old


@pytest.mark.parametrize("how", ["CLOUD_FAILS", "CLOUD_LOSES"])
def test_where_the_second_promotion_fails_what_serves_is_named(deployed: Cloud, how: str) -> None:
    done = deployed.deploy("--tag", "t2", **{how: "update-traffic memoria-cluster"})
    assert done.returncode == 1
    for service in ("process", "cluster"):
        (serving,) = deployed.serving(service)
        assert f"memoria-{service} is served by {serving}\n" in done.stderr
    assert "Supabase was told nothing" in done.stderr
    assert not deployed.told()


@pytest.mark.parametrize("service", ["process", "cluster"])
def test_nothing_is_promoted_before_every_service_may_be(deployed: Cloud, service: str) -> None:
    """The last looks before the first move fail for one of the two."""
    before = copy.deepcopy(deployed.state["services"])
    tried: list[str] = []

    def move(words: list[str]) -> None:
        tried.extend(words[2:3] if words[:2] == ["run", "deploy"] else [])
        if words[:2] == ["secrets", "update"] and len(tried) == 2:
            deployed.service(service)["tags"]["candidate"] = "another"

    deployed.project.before = move
    done = deployed.deploy("--tag", "t2")
    assert done.returncode == 1
    assert "another deployment took the tag" in done.stderr
    for name in ("memoria-process", "memoria-cluster"):
        assert deployed.state["services"][name]["traffic"] == before[name]["traffic"]


def test_once_promoted_nothing_more_is_asked_before_supabase_is_told(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2")
    words = [" ".join(call.words) for call in deployed.project.calls]
    last = max(i for i, call in enumerate(words) if "update-traffic" in call)
    assert "memoria_configure" in words[last + 1]


def test_a_deployment_that_fails_says_what_serves_then(cloud: Cloud) -> None:
    done = cloud.deploy(CLOUD_FAILS="run deploy")
    assert "memoria-process is served by nothing" in done.stderr
    done = cloud.deploy(CLOUD_LOSES="run deploy")
    assert f"memoria-process is served by {cloud.revisions()[0]}" in done.stderr


REFUSED = ["cannot start, the environment needs mending:", "  DET_SIZE: must be 640 or 320"]


def test_a_revision_that_does_not_start_is_heard(cloud: Cloud) -> None:
    def log(words: list[str]) -> None:
        if words[:2] == ["run", "deploy"]:
            revision = f"memoria-process-{options_of(words)['revision-suffix']}"
            told = [("another", "not this"), *((revision, f"{line}\t") for line in REFUSED * 2)]
            cloud.state["log"] = told[::-1]

    cloud.project.before = log
    done = cloud.deploy(CLOUD_FAILS="run deploy")
    heard = done.stderr.partition(" logged:\n")[2].splitlines()
    assert heard[:2] == REFUSED
    assert heard[2].startswith("deploy.sh: memoria-process: gcloud failed to deploy")
    asked = next(words for words in cloud.calls() if words[:2] == ["logging", "read"])
    assert {"--project=p-1", "--limit=40", "--freshness=1h"} <= set(asked)


def test_a_revision_that_is_not_heard_can_be_asked_later(cloud: Cloud) -> None:
    for fails, why in (("run deploy", ""), ("run deploy|logging read", ": ERROR: (gcloud.logging")):
        done = cloud.deploy(CLOUD_FAILS=fails)
        assert done.returncode == 1
        assert f"nothing is heard of its log{why}" in done.stderr
        (command,) = [line for line in done.stderr.splitlines() if "+ gcloud logging read" in line]
        tried = [words for words in cloud.calls() if words[:2] == ["logging", "read"]]
        assert tried == [shlex.split(command)[2:]] * 3


UNUSABLE = {
    "nothing there": ({"SUPABASE_URL": "https://localhost:9"}, {}, "nothing answers at"),
    "the key": ({}, {"doctor_status": 401}, "SUPABASE_SERVICE_ROLE_KEY: https://localhost:"),
    "no migrations": ({}, {"doctor_status": 404}, "apply the migrations first"),
    "trouble": ({}, {"doctor_status": 503}, "Supabase answered 503"),
    "too new": ({}, {"database": '{"made_for":9,"works_with":9}'}, "this version is too old"),
    "too old": ({}, {"database": '{"made_for":0,"works_with":0}'}, "the database is too old"),
}


@pytest.mark.parametrize(("environ", "net", "told"), UNUSABLE.values(), ids=list(UNUSABLE))
def test_supabase_is_asked_before_anything_is_done(
    cloud: Cloud, environ: dict[str, str], net: dict[str, object], told: str
) -> None:
    for name, value in net.items():
        setattr(cloud.net, name, value)
    done = cloud.deploy(**environ)
    assert done.returncode == 1
    assert told in done.stderr
    assert cloud.changes() == []
    assert cloud.settings["SUPABASE_SERVICE_ROLE_KEY"] not in done.stderr + done.stdout


def test_migrations_that_were_applied_just_before_are_waited_for(cloud: Cloud) -> None:
    cloud.net.unknown_at_first = 2
    done = cloud.deploy("--only", "process")
    assert done.returncode == 0, done.stderr
    assert "apply the migrations" not in done.stderr


@pytest.mark.parametrize(
    ("agreement", "database"),
    [
        ('{"made_for": 2, "works_with": 1}', '{"made_for":1,"works_with":1}'),
        ('{"made_for": 1, "works_with": 1}', '{"made_for":2,"works_with":1}'),
        ('{"made_for": 9, "works_with": 9}', "null"),
    ],
    ids=["newer functions", "newer database", "a database that states nothing"],
)
def test_functions_and_database_are_rolled_out_in_either_order(
    deployed: Cloud, agreement: str, database: str
) -> None:
    deployed.net.agreement, deployed.net.database = agreement, database
    done = deployed.deploy("--tag", "t2", "--only", "process")
    assert done.returncode == 0, done.stderr


def test_the_reason_of_an_answer_that_is_no_outcome_is_shown(deployed: Cloud) -> None:
    deployed.net.status, deployed.net.outcome = 503, '{"error": {"code": "store_unavailable"}}'
    done = deployed.deploy("--tag", "t2")
    assert 'was answered 503: {"error": {"code": "store_unavailable"}}' in done.stderr


SILENT = {"CLOUDSDK_CORE_USER_OUTPUT_ENABLED": "false"}


@pytest.mark.parametrize("command", ["deploy", "rollback", "connect", "monitoring"])
def test_a_gcloud_that_was_told_to_be_silent_is_told_to_speak(twice: Cloud, command: str) -> None:
    done = twice.deploy(command, **SILENT)
    assert done.returncode == 0, done.stderr
    assert not any(
        words[:2] == ["run", "deploy"] and "--no-traffic" not in words for words in twice.calls()
    )


@pytest.mark.parametrize("silent", [*DESCRIBES, "secrets versions add", "auth print-access-token"])
def test_an_answer_that_is_empty_is_not_no(deployed: Cloud, silent: str) -> None:
    """Exit status 0 and not a word, whatever the cause: never "not there yet"."""
    before = copy.deepcopy(deployed.state["services"])
    done = deployed.deploy("--tag", "t2", CLOUD_SILENT=silent, CALLBACK_SECRET="another")
    assert done.returncode == 1
    for name in ("memoria-process", "memoria-cluster"):
        assert deployed.state["services"][name]["traffic"] == before[name]["traffic"]
    assert all("--no-traffic" in call for call in deployed.calls() if call[:2] == ["run", "deploy"])
    assert not [words for words in deployed.changes() if " create " in words]


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_a_stored_secret_that_was_switched_off_is_not_made_anew(cloud: Cloud, state: str) -> None:
    cloud.settings |= {"CALLBACK_URL": "off", "CALLBACK_SECRET": ""}
    cloud.deploy("--only", "cluster")
    cloud.state["secrets"]["memoria-webhook-secret"]["states"] = {1: state}
    done = cloud.deploy("--only", "cluster")
    assert done.returncode == 1
    assert f"version 1 of memoria-webhook-secret is {state}" in done.stderr
    assert len(cloud.secret("webhook-secret")) == 1
    assert cloud.deploy("--only", "cluster", WEBHOOK_SECRET="given").returncode == 0
    assert cloud.secret("webhook-secret")[1] == "given"


def test_a_secret_that_was_deleted_is_not_made_anew_while_something_serves(cloud: Cloud) -> None:
    cloud.settings |= {"CALLBACK_URL": "off", "CALLBACK_SECRET": ""}
    cloud.deploy("--only", "cluster")
    del cloud.state["secrets"]["memoria-webhook-secret"]
    done = cloud.deploy("--only", "cluster")
    assert done.returncode == 1
    assert "memoria-cluster serves" in done.stderr
    assert "set WEBHOOK_SECRET" in done.stderr
    assert "memoria-webhook-secret" not in cloud.state["secrets"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"CALLBACK_SECRET": "off"}, None),
        ({"CALLBACK_SECRET": "off", "CALLBACK_URL": "off"}, None),
        ({"CALLBACK_SECRET": "", "CALLBACK_URL": "off"}, "off"),
        ({"CALLBACK_SECRET": "", "CALLBACK_URL": "off"}, 'a\nurl = "https://evil.example"'),
        ({"CALLBACK_SECRET": "", "CALLBACK_URL": "off"}, "caf\u00e9"),
    ],
)
def test_no_webhook_secret_is_released_that_nobody_can_present(
    cloud: Cloud, given: dict[str, str], stored: str | None
) -> None:
    if stored is not None:
        cloud.state["secrets"] = {"memoria-webhook-secret": secret({}, [stored])}
    done = cloud.deploy(**given)
    assert done.returncode == 1
    assert "  WEBHOOK_SECRET: " in done.stderr
    assert not [request for request in cloud.net.requests if "rest/v1" not in request.path]
    assert not cloud.told()
    assert not [words for words in cloud.changes() if "run deploy" in words]


@pytest.mark.parametrize("words", [["--help", "rollback"], ["rollback", "--help"], ["help", "-x"]])
def test_whoever_asks_for_help_gets_nothing_else(twice: Cloud, words: list[str]) -> None:
    done = twice.deploy(*words)
    assert done.returncode == 0
    assert "usage: ./deploy.sh" in done.stdout
    assert twice.project.calls == []


def test_two_commands_are_none(twice: Cloud) -> None:
    done = twice.deploy("deploy", "rollback")
    assert done.returncode == 1
    assert "one command at a time" in done.stderr
    assert twice.project.calls == []


@pytest.mark.parametrize("command", ["deploy", "connect"])
def test_psql_is_missed_before_anything_is_done(deployed: Cloud, command: str) -> None:
    (deployed.folder / "bin" / "psql").unlink()
    names = [
        "bash",
        "awk",
        "sed",
        "git",
        "head",
        "od",
        "tr",
        "date",
        "mktemp",
        "rm",
        "grep",
        "cat",
        "dirname",
    ]
    for name in names:
        (deployed.folder / "bin" / name).symlink_to(shutil.which(name) or name)
    url = "postgresql://me:pass@db.example/postgres"
    path = str(deployed.folder / "bin")
    done = deployed.deploy(command, DATABASE_URL=url, PATH=path)
    assert done.returncode == 1
    assert "psql is not installed" in done.stderr
    assert deployed.project.calls == []
    assert deployed.deploy("rollback", "--dry-run", DATABASE_URL=url, PATH=path).returncode == 0


def test_a_first_release_that_fails_says_that_it_serves(cloud: Cloud) -> None:
    cloud.net.broken = {"candidate/memoria-process": 404}
    done = cloud.deploy()
    assert done.returncode == 1
    assert "no traffic" not in done.stderr
    assert "its first revision failed its smoke test. It serves all the same" in done.stderr
    assert cloud.serving() == {cloud.revisions()[0]: 100}
    assert not cloud.told()


@pytest.mark.parametrize("status", [401, 403])
def test_a_door_that_google_keeps_shut_is_called_that(cloud: Cloud, status: int) -> None:
    cloud.net.broken = {"candidate/memoria-process": status}
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"Google's door answers {status}" in done.stderr
    assert "--no-invoker-iam, or with INVOKER_IAM=off in .env" in done.stderr


def test_a_door_that_opens_a_little_later_is_waited_for(cloud: Cloud) -> None:
    cloud.net.broken = {"candidate/memoria-process": 403}
    asked: list[None] = []

    def ready() -> None:
        asked.append(None)
        if len(asked) == 3:
            cloud.net.broken = {}

    cloud.net.on_ready = ready
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr


def test_nobody_rolls_back_to_a_first_release_that_failed(cloud: Cloud) -> None:
    cloud.net.broken = {"candidate/memoria-process": 404}
    cloud.deploy()
    cloud.deploy()  # fails again: the tag candidate goes to another revision
    cloud.net.broken = {}
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert cloud.tags() == {"current": cloud.revisions()[-1]}
    assert cloud.deploy("rollback").returncode == 1


def test_a_first_revision_that_never_started_does_not_block_the_next(deployed: Cloud) -> None:
    deployed.service().update(traffic={}, tags={})
    assert deployed.deploy("--only", "process").returncode == 0


def test_a_split_is_not_ended_by_a_release(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2")
    old, new = deployed.revisions()
    deployed.service()["traffic"] = {old: 40, new: 60}
    done = deployed.deploy("--tag", "t3")
    assert done.returncode == 1
    assert "traffic is split" in done.stderr
    assert deployed.serving() == {old: 40, new: 60}
    assert len(deployed.revisions()) == 2


def test_traffic_that_somebody_moved_meanwhile_stays_where_it_is(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2")
    old, new = deployed.revisions()

    def roll_back() -> None:
        deployed.service()["traffic"] = {old: 100}

    deployed.net.on_ready = roll_back
    done = deployed.deploy("--tag", "t3")
    assert done.returncode == 1
    assert f"from {new} to {old}" in done.stderr
    assert deployed.serving() == {old: 100}


def test_a_failed_release_changes_no_secret_that_serves(deployed: Cloud) -> None:
    (old,) = deployed.revisions()
    deployed.net.broken = {"candidate/memoria-process": 404}
    deployed.deploy("--tag", "t2", CALLBACK_SECRET="another")
    revisions = deployed.service()["revisions"]
    assert revisions[old]["secrets"]["CALLBACK_SECRET"] == "memoria-callback-secret:1"
    assert revisions[deployed.revisions()[1]]["secrets"]["CALLBACK_SECRET"].endswith(":2")
    assert not any(
        use.endswith(":latest") for known in revisions.values() for use in known["secrets"].values()
    )


def test_a_value_that_comes_back_gets_a_version_of_its_own(deployed: Cloud) -> None:
    deployed.deploy(CALLBACK_SECRET="another", WEBHOOK_SECRET="w")
    deployed.deploy(WEBHOOK_SECRET="w")
    first = SETTINGS["CALLBACK_SECRET"]
    assert deployed.secret("callback-secret") == [first, "another", first]


@pytest.mark.parametrize("only", ["process", "cluster"])
def test_a_release_of_one_service_does_not_change_the_secret_of_both(
    deployed: Cloud, only: str
) -> None:
    before = copy.deepcopy(deployed.state["services"])
    done = deployed.deploy("--only", only, WEBHOOK_SECRET="newer")
    assert done.returncode == 1
    assert "deploy both (without --only)" in done.stderr
    assert deployed.state["services"] == before
    assert deployed.deploy("--only", only).returncode == 0


def test_a_secret_that_changes_without_the_old_one_is_said(deployed: Cloud) -> None:
    said = "is refused between its promotion and the last step"
    first = SETTINGS["CALLBACK_SECRET"]
    assert said not in deployed.deploy("--only", "process", "--no-build").stderr
    deployed.net.broken = {"candidate/memoria-process": 404}
    given = {"WEBHOOK_SECRET": "newer"}
    assert said in deployed.deploy("--no-build", **given).stderr
    assert said in deployed.deploy("--no-build", **given, WEBHOOK_SECRET_PREVIOUS="other").stderr
    deployed.net.broken = {}  # "newer" is stored by now, and the first one serves all the same
    assert said in deployed.deploy("--no-build", **given).stderr
    given = {"WEBHOOK_SECRET": first, "WEBHOOK_SECRET_PREVIOUS": "newer"}
    done = deployed.deploy("--no-build", **given)
    assert done.returncode == 0, done.stderr
    assert said not in done.stderr
