import json
import re
import shutil
from pathlib import Path

import pytest

from tests.deploy.project import ROOT, SECRETS, SETTINGS, Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """An empty project."""
    return Cloud(tmp_path)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cloud = Cloud(tmp_path_factory.mktemp("first"))
    done = cloud.deploy("--project", "p-1", "--tag", "t1")
    assert done.returncode == 0, done.stderr
    return cloud.folder


@pytest.fixture
def deployed(cloud: Cloud, first_run: Path) -> Cloud:
    """A project after its first deployment, and the record of that."""
    for name in ("state.json", "calls.jsonl"):
        shutil.copy(first_run / name, cloud.folder)
    return cloud


def options_of(words: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").partition("=")[::2] for word in words if word[:2] == "--")


def test_a_clean_project_gets_everything_in_order(deployed: Cloud) -> None:
    expected = [
        "services enable",
        "artifacts repositories create memoria",
        "iam service-accounts create memoria-process",
        "iam service-accounts create memoria-cluster",
        "iam service-accounts create memoria-build",
        "projects add-iam-policy-binding",
        "secrets create memoria-supabase-service-role-key",
        "secrets versions add memoria-supabase-service-role-key",
        "secrets add-iam-policy-binding memoria-supabase-service-role-key",
        "secrets create memoria-webhook-secret",
        "builds submit",
        "run deploy memoria-process",
        "run services update-traffic memoria-process",
        "run deploy memoria-cluster",
        "run services update-traffic memoria-cluster",
    ]
    changes = deployed.changes()
    places = [next(i for i, done in enumerate(changes) if done.startswith(e)) for e in expected]
    assert places == sorted(places)


def test_a_second_run_creates_nothing_and_moves_traffic_after_the_test(deployed: Cloud) -> None:
    done = deployed.deploy("--project", "p-1", "--tag", "t2")
    assert done.returncode == 0, done.stderr
    changes = deployed.changes()
    assert not [words for words in changes if " create " in words or "versions add" in words]
    deploys = [words for words in deployed.calls() if words[:2] == ["run", "deploy"]]
    assert all("--no-traffic" in words for words in deploys)
    service = deployed.state["services"]["memoria-process"]
    assert service["serving"] == "memoria-process-00002"
    assert service["tags"]["previous"] == "memoria-process-00001"  # type: ignore[index]


def test_a_changed_secret_gets_a_new_version(deployed: Cloud) -> None:
    deployed.deploy("--project", "p-1", CALLBACK_SECRET="another", WEBHOOK_SECRET="one")
    added = [words for words in deployed.changes() if "versions add" in words]
    assert added == [
        "secrets versions add memoria-callback-secret",
        "secrets versions add memoria-webhook-secret",
    ]


def test_rollback_sends_the_traffic_back(deployed: Cloud) -> None:
    deployed.deploy("--project", "p-1", "--tag", "t2")
    done = deployed.deploy("rollback", "--project", "p-1", "--only", "process")
    assert done.returncode == 0, done.stderr
    assert deployed.state["services"]["memoria-process"]["serving"] == "memoria-process-00001"
    assert deployed.state["services"]["memoria-cluster"]["serving"] == "memoria-cluster-00002"


def test_rollback_without_a_past_says_so(deployed: Cloud) -> None:
    done = deployed.deploy("rollback", "--project", "p-1")
    assert done.returncode == 1
    assert "no revision is tagged previous" in done.stderr


@pytest.mark.parametrize(
    "trouble",
    [
        {"CLOUD_FAILS": "candidate.example/ready"},
        {"CLOUD_STRANGER": "200"},
        {"CLOUD_ANSWER": '{"error": {"code": "unauthorized"}}'},
    ],
    ids=["not ready", "open to strangers", "wrong secret"],
)
def test_a_revision_that_fails_its_smoke_test_gets_no_traffic(
    deployed: Cloud, trouble: dict[str, str]
) -> None:
    done = deployed.deploy("--project", "p-1", "--tag", "t2", **trouble)
    assert done.returncode == 1
    assert "memoria-process-00001 goes on serving" in done.stderr
    assert deployed.state["services"]["memoria-process"]["serving"] == "memoria-process-00001"
    assert not [words for words in deployed.changes() if "update-traffic" in words]


STEPS = [
    "services enable",
    "repositories create",
    "service-accounts create memoria-cluster",
    "projects add-iam",
    "secrets create memoria-callback",
    "versions add memoria-callback",
    "secrets add-iam-policy-binding memoria-webhook-secret",
    "builds submit",
    "run deploy memoria-process",
    "update-traffic memoria-process",
    "run deploy memoria-cluster",
    "update-traffic memoria-cluster",
    "curl --config",
]


@pytest.mark.parametrize("fails", STEPS)
def test_a_step_that_fails_stops_everything(cloud: Cloud, fails: str) -> None:
    done = cloud.deploy("--project", "p-1", CLOUD_FAILS=fails.replace(" ", ".*"))
    assert done.returncode != 0
    attempted = {next((s for s in STEPS if s in words), "") for words in cloud.changes()}
    assert not attempted & set(STEPS[STEPS.index(fails) + 1 : -1])


@pytest.mark.parametrize("fails", ["versions add", "run deploy memoria-cluster", "curl --config"])
def test_after_a_step_that_failed_the_next_run_goes_on(cloud: Cloud, fails: str) -> None:
    cloud.deploy("--project", "p-1", CLOUD_FAILS=fails.replace(" ", ".*"))
    again = cloud.deploy("--project", "p-1")
    assert again.returncode == 0, again.stderr
    assert cloud.state["services"]["memoria-cluster"]["serving"]


def test_a_dry_run_prints_everything_and_runs_nothing(cloud: Cloud) -> None:
    done = cloud.deploy("--project", "p-1", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert cloud.calls() == cloud.calls("curl") == []
    for step in ("services enable", "artifacts repositories create", "builds submit", "run deploy"):
        assert f"gcloud {step}" in done.stderr


@pytest.mark.parametrize("words", [[], ["--dry-run"], ["connect"]])
def test_no_secret_is_printed_or_stands_on_a_command_line(
    deployed: Cloud, words: list[str]
) -> None:
    done = deployed.deploy(*words, "--project", "p-1", WEBHOOK_SECRET="wh-secret-1")
    everything = done.stdout + done.stderr + json.dumps(deployed.calls() + deployed.calls("curl"))
    for secret in (*SECRETS, "wh-secret-1"):
        assert secret not in everything
        assert json.dumps(secret) not in everything


def test_values_arrive_as_they_are_whatever_they_hold(deployed: Cloud) -> None:
    assert not (deployed.folder / "pwned").exists()
    stored = deployed.state["values"]
    assert stored["memoria-supabase-service-role-key"] == SECRETS[0]
    assert stored["memoria-webhook-secret"] == SETTINGS["CALLBACK_SECRET"]
    deploy = next(words for words in deployed.calls() if words[:2] == ["run", "deploy"])
    plain = options_of(deploy)["set-env-vars"]
    assert plain.startswith("^::^")
    given = dict(pair.split("=", 1) for pair in plain[4:].split("::"))
    assert given["CALLBACK_URL"] == SETTINGS["CALLBACK_URL"]
    assert given["MEDIA_URL_HOSTS"] == "a.example,b.example"


def test_supabase_is_told_urls_secret_and_pace_in_valid_json(cloud: Cloud) -> None:
    cloud.deploy("--project", "p-1", MAX_IN_FLIGHT="10")
    inputs = [json.loads(line)["input"] for line in cloud.log.read_text().splitlines()]
    config = next(text for text in inputs if "memoria_configure" in text)
    data = next(line for line in config.splitlines() if line.startswith("data = "))
    settings = json.loads(json.loads(data.removeprefix("data = ")))["p_settings"]
    assert settings == {
        "max_in_flight": {"process": 10, "callback": 5},
        "process_url": "https://service.example",
        "cluster_url": "https://service.example",
        "webhook_secret": SETTINGS["CALLBACK_SECRET"],
    }


def test_a_database_url_is_used_where_given_and_never_printed(cloud: Cloud) -> None:
    url = "postgres://me:pass@db.example/postgres"
    done = cloud.deploy("--project", "p-1", "--database-url", url)
    assert done.returncode == 0, done.stderr
    assert cloud.calls("psql")[0][0] == url
    assert "pass@" not in done.stderr


def test_where_supabase_does_not_answer_the_statement_is_printed_without_the_secret(
    cloud: Cloud,
) -> None:
    done = cloud.deploy("--project", "p-1", CLOUD_FAILS="^curl --config -$")
    assert done.returncode == 1
    assert "select public.memoria_configure('{" in done.stderr
    assert SETTINGS["CALLBACK_SECRET"] not in done.stderr


def test_instances_follow_from_the_setting_that_paces_the_queue(cloud: Cloud) -> None:
    cloud.deploy("--project", "p-1", MAX_IN_FLIGHT="50", CONCURRENCY="10", MIN_INSTANCES="1")
    deploy = next(words for words in cloud.calls() if words[:2] == ["run", "deploy"])
    options = options_of(deploy)
    assert options["max-instances"] == "8"  # 50 photos and 25 callbacks, 10 at a time
    assert (options["concurrency"], options["min-instances"]) == ("10", "1")


def test_the_defaults_are_two_cpus_and_two_gibibytes(deployed: Cloud) -> None:
    for deploy in (words for words in deployed.calls() if words[:2] == ["run", "deploy"]):
        options = options_of(deploy)
        assert (options["cpu"], options["memory"]) == ("2", "2Gi")
        assert {"cpu-boost", "no-cpu-throttling", "allow-unauthenticated"} <= set(options)
        assert "httpGet.path=/ready" in options["startup-probe"]


def test_a_gpu_and_a_closed_organisation_have_their_flags(cloud: Cloud) -> None:
    cloud.deploy("--project", "p-1", "--gpu", "--no-invoker-iam", "--only", "process")
    (deploy,) = [words for words in cloud.calls() if words[:2] == ["run", "deploy"]]
    options = options_of(deploy)
    assert (options["gpu-type"], options["memory"]) == ("nvidia-l4", "16Gi")
    assert "USE_GPU=true" in options["set-env-vars"]
    assert "no-invoker-iam-check" in options
    assert "allow-unauthenticated" not in options
    (build,) = [words for words in cloud.calls() if words[:2] == ["builds", "submit"]]
    assert "_TARGET=gpu" in options_of(build)["substitutions"]


def test_only_one_service_is_touched_when_asked(cloud: Cloud) -> None:
    cloud.deploy("--project", "p-1", "--only", "cluster", ACCEPT_INSIGHTFACE_LICENSE="")
    assert not [words for words in cloud.changes() if "process" in words]


def test_each_service_reads_its_secrets_and_named_buckets_only(cloud: Cloud) -> None:
    cloud.deploy("--project", "p-1", "--media-bucket", "b1", WEIGHTS="gs://w/path")
    grants = [words for words in cloud.calls() if "add-iam-policy-binding" in words]
    found = {(words[words.index("add-iam-policy-binding") + 1], options_of(words)["member"],
              options_of(words)["role"]) for words in grants}  # fmt: skip
    process = "serviceAccount:memoria-process@p-1.iam.gserviceaccount.com"
    build = process.replace("process", "build")
    roles = {(place, role) for place, member, role in found if member == process}
    assert roles == {
        ("gs://b1", "roles/storage.objectViewer"),
        ("memoria-supabase-service-role-key", "roles/secretmanager.secretAccessor"),
        ("memoria-callback-secret", "roles/secretmanager.secretAccessor"),
        ("memoria-webhook-secret", "roles/secretmanager.secretAccessor"),
    }
    assert ("gs://w", build, "roles/storage.objectViewer") in found


def test_the_licence_of_the_weights_must_be_accepted(cloud: Cloud) -> None:
    done = cloud.deploy("--project", "p-1", ACCEPT_INSIGHTFACE_LICENSE="")
    assert done.returncode == 1
    assert "non-commercial research only" in done.stderr
    assert cloud.changes() == []


def test_every_wrong_setting_is_named_at_once(cloud: Cloud) -> None:
    cloud.settings = {"SUPABASE_URL": "http://project.supabase.co", "CALLBACK_URL": "ftp://x"}
    done = cloud.deploy("--project", "p-1")
    assert done.returncode == 1
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "CALLBACK_URL", "CALLBACK_SECRET"):
        assert f"  {name}: " in done.stderr
    assert cloud.changes() == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--bogus"], "unknown option"),
        (["--project"], "needs a value"),
        (["--project", "--dry-run"], "needs a value"),
        (["--only", "both"], "--only takes"),
        (["--env-file", "/nowhere"], "cannot read"),
    ],
)
def test_a_wrong_option_is_named(cloud: Cloud, words: list[str], complaint: str) -> None:
    done = cloud.deploy(*words)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_without_a_login_nothing_is_tried(cloud: Cloud) -> None:
    done = cloud.deploy(CLOUD_ACCOUNT="")
    assert done.returncode == 1
    assert "gcloud auth login" in done.stderr
    assert cloud.changes() == []


def test_an_env_file_is_read_and_never_executed(cloud: Cloud) -> None:
    file = cloud.folder / ".env"
    lines = [f'{name}="{value}"' for name, value in SETTINGS.items()]
    file.write_text("\n".join(["# comment", "PATH=/nowhere", "EVIL=$(touch pwned)", *lines]))
    cloud.settings = {"CALLBACK_URL": "off"}
    done = cloud.deploy("--project", "p-1", "--env-file", str(file))
    assert done.returncode == 0, done.stderr
    assert not (cloud.folder / "pwned").exists()
    assert cloud.state["values"]["memoria-supabase-service-role-key"] == SECRETS[0]
    deploy = next(words for words in cloud.calls() if words[:2] == ["run", "deploy"])
    assert "CALLBACK_URL=off" in options_of(deploy)["set-env-vars"]


def test_a_webhook_secret_is_made_up_once(cloud: Cloud) -> None:
    cloud.settings = {**SETTINGS, "CALLBACK_URL": "off", "CALLBACK_SECRET": ""}
    cloud.deploy("--project", "p-1")
    first = cloud.state["values"]["memoria-webhook-secret"]
    cloud.deploy("--project", "p-1")
    assert cloud.state["values"]["memoria-webhook-secret"] == first
    assert re.fullmatch("[0-9a-f]{64}", str(first))


def test_monitoring_is_created_once_and_updated_ever_after(cloud: Cloud) -> None:
    done = cloud.deploy("monitoring", "--project", "p-1", "--notify", "projects/p/channels/1")
    assert done.returncode == 0, done.stderr
    first = cloud.changes()
    files = len(list((ROOT / "deploy" / "monitoring").rglob("*.json")))
    assert (
        len([words for words in first if words.endswith("create") or " create " in words]) == files
    )
    cloud.deploy("monitoring", "--project", "p-1")
    assert len([words for words in cloud.changes() if " update " in words]) == files
