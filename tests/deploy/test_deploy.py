import json
import re

import pytest

from memoria.config import Settings
from memoria.media import budget
from memoria.media.children import CHILDREN
from memoria.media.shared_memory import KEPT_BYTES
from memoria.packs.catalogue import PACKS
from tests.deploy.cloud import pairs
from tests.deploy.project import ROOT, SECRETS, SETTINGS, Cloud, options_of


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
        "run deploy memoria-cluster",
        "run services update-traffic memoria-process",
        "run services update-traffic memoria-cluster",
    ]
    changes = deployed.changes()
    places = [next(i for i, done in enumerate(changes) if done.startswith(e)) for e in expected]
    assert places == sorted(places)


def test_a_second_run_creates_nothing_and_moves_traffic_after_the_test(deployed: Cloud) -> None:
    done = deployed.deploy("--tag", "t2")
    assert done.returncode == 0, done.stderr
    changes = deployed.changes()
    assert not [words for words in changes if " create " in words or "versions add" in words]
    deploys = [words for words in deployed.calls() if words[:2] == ["run", "deploy"]]
    assert all("--no-traffic" in words for words in deploys)
    old, new = deployed.revisions()
    assert deployed.serving() == {new: 100}
    assert deployed.tags() == {"current": new, "previous": old}


def test_a_changed_secret_gets_a_new_version(deployed: Cloud) -> None:
    deployed.deploy(CALLBACK_SECRET="another", WEBHOOK_SECRET="one")
    added = [words for words in deployed.changes() if "versions add" in words]
    assert added == [
        "secrets versions add memoria-callback-secret",
        "secrets versions add memoria-webhook-secret",
    ]


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
    "run deploy memoria-cluster",
    "update-traffic memoria-process",
    "update-traffic memoria-cluster",
    "memoria_configure",
]


@pytest.mark.parametrize("fails", STEPS)
def test_a_step_that_fails_stops_everything(cloud: Cloud, fails: str) -> None:
    done = cloud.deploy(CLOUD_FAILS=fails.replace(" ", ".*"))
    assert done.returncode != 0
    attempted = {next((s for s in STEPS if s in words), "") for words in cloud.changes()}
    assert not attempted & set(STEPS[STEPS.index(fails) + 1 : -1])


@pytest.mark.parametrize(
    "fails", ["versions add", "run deploy memoria-cluster", "memoria_configure"]
)
def test_after_a_step_that_failed_the_next_run_goes_on(cloud: Cloud, fails: str) -> None:
    cloud.deploy(CLOUD_FAILS=fails.replace(" ", ".*"))
    again = cloud.deploy()
    assert again.returncode == 0, again.stderr
    assert cloud.serving("cluster") == {cloud.revisions("cluster")[-1]: 100}


def test_a_dry_run_prints_everything_and_runs_nothing(cloud: Cloud) -> None:
    done = cloud.deploy("--dry-run")
    assert done.returncode == 0, done.stderr
    assert cloud.calls() == cloud.calls("curl") == []
    for step in ("services enable", "artifacts repositories create", "builds submit", "run deploy"):
        assert f"\n+ gcloud {step}" in done.stdout
    assert "+ gcloud" not in done.stderr


@pytest.mark.parametrize("command", ["rollback", "connect", "monitoring", "unlock"])
def test_every_command_has_a_dry_run(cloud: Cloud, command: str) -> None:
    done = cloud.deploy(command, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert cloud.calls() == cloud.calls("curl") == []


def test_a_dry_run_tells_of_the_licence_and_goes_on(cloud: Cloud) -> None:
    done = cloud.deploy("--dry-run", ACCEPT_INSIGHTFACE_LICENSE="")
    assert done.returncode == 0, done.stderr
    assert "you are asked to accept" in done.stderr
    assert "gcloud builds submit" in done.stdout


@pytest.mark.parametrize("words", [[], ["--dry-run"], ["connect"]])
def test_no_secret_is_printed_or_stands_on_a_command_line(
    deployed: Cloud, words: list[str]
) -> None:
    done = deployed.deploy(*words, WEBHOOK_SECRET="wh-secret-1")
    everything = done.stdout + done.stderr + json.dumps(deployed.calls() + deployed.calls("curl"))
    for secret in (*SECRETS, "wh-secret-1"):
        assert secret not in everything
        assert json.dumps(secret) not in everything


def test_values_arrive_as_they_are_whatever_they_hold(deployed: Cloud) -> None:
    assert not (deployed.folder / "pwned").exists()
    assert deployed.secret("supabase-service-role-key") == [SECRETS[0]]
    assert deployed.secret("webhook-secret") == [SETTINGS["CALLBACK_SECRET"]]
    (revision,) = deployed.revisions()
    given = deployed.service()["revisions"][revision]["env"]
    assert given["CALLBACK_URL"] == SETTINGS["CALLBACK_URL"]
    assert given["MEDIA_URL_HOSTS"] == "a.example,b.example"


def test_supabase_is_told_urls_secret_and_pace_in_valid_json(cloud: Cloud) -> None:
    cloud.deploy(MAX_IN_FLIGHT="10")
    assert cloud.configured() == {
        "max_in_flight": {"process": 10, "callback": 5},
        "process_url": f"{cloud.net.url}/serving/memoria-process",
        "cluster_url": f"{cloud.net.url}/serving/memoria-cluster",
        "webhook_secret": SETTINGS["CALLBACK_SECRET"],
    }
    (told,) = cloud.told()
    assert told.headers["apikey"] == SETTINGS["SUPABASE_SERVICE_ROLE_KEY"]


def test_where_supabase_does_not_answer_the_statement_is_printed_without_the_secret(
    cloud: Cloud,
) -> None:
    cloud.net.supabase_status = 503
    done = cloud.deploy()
    assert done.returncode == 1
    assert "select public.memoria_configure(E'{" in done.stderr
    assert SETTINGS["CALLBACK_SECRET"] not in done.stderr


def test_instances_follow_from_the_setting_that_paces_the_queue(cloud: Cloud) -> None:
    cloud.deploy(MAX_IN_FLIGHT="50", CONCURRENCY="10", MIN_INSTANCES="1")
    deploy = next(words for words in cloud.calls() if words[:2] == ["run", "deploy"])
    options = options_of(deploy)
    assert options["max-instances"] == "8"  # 50 photos and 25 callbacks, 10 at a time
    assert (options["concurrency"], options["min-instances"]) == ("10", "1")


def test_half_of_the_threads_are_as_many_as_the_requests_at_once(cloud: Cloud) -> None:
    """Half of them take large bodies, as every search has: else guests wait, and are cut off."""
    cloud.deploy("--only", "process", CONCURRENCY="10", MAX_IN_FLIGHT="50")
    deploy = next(words for words in cloud.calls() if words[:2] == ["run", "deploy"])
    assert pairs(options_of(deploy)["set-env-vars"])["THREADS"] == "20"


def test_the_defaults_are_two_cpus_and_two_gibibytes(deployed: Cloud) -> None:
    for deploy in (words for words in deployed.calls() if words[:2] == ["run", "deploy"]):
        options = options_of(deploy)
        assert (options["cpu"], options["memory"]) == ("2", "2Gi")
        threads = int(pairs(options["set-env-vars"])["THREADS"])
        assert threads > int(options["concurrency"])  # /health answers while all of them wait
        assert {"cpu-boost", "no-cpu-throttling", "allow-unauthenticated"} <= set(options)
        assert "httpGet.path=/ready" in options["startup-probe"]


def test_a_gpu_and_a_closed_organisation_have_their_flags(cloud: Cloud) -> None:
    cloud.deploy("--gpu", "--no-invoker-iam", "--only", "process")
    (deploy,) = [words for words in cloud.calls() if words[:2] == ["run", "deploy"]]
    options = options_of(deploy)
    assert (options["gpu-type"], options["memory"]) == ("nvidia-l4", "16Gi")
    assert "USE_GPU=true" in options["set-env-vars"]
    assert "no-invoker-iam-check" in options
    assert "allow-unauthenticated" not in options
    (build,) = [words for words in cloud.calls() if words[:2] == ["builds", "submit"]]
    assert "_TARGET=gpu" in options_of(build)["substitutions"]


def test_an_env_file_may_say_that_the_organisation_is_closed(cloud: Cloud) -> None:
    (cloud.folder / "settings").write_text("INVOKER_IAM=off\n")
    cloud.deploy("--env-file", str(cloud.folder / "settings"), "--only", "process")
    (deploy,) = [words for words in cloud.calls() if words[:2] == ["run", "deploy"]]
    assert "no-invoker-iam-check" in options_of(deploy)


@pytest.mark.parametrize("yes", ["true", "1"])
def test_an_env_file_may_ask_for_a_gpu(cloud: Cloud, yes: str) -> None:
    (cloud.folder / "settings").write_text(f"USE_GPU={yes}\n")
    cloud.deploy("--env-file", str(cloud.folder / "settings"))
    one, two = [options_of(words) for words in cloud.calls() if words[:2] == ["run", "deploy"]]
    assert one["gpu"] == "1"
    assert "USE_GPU=true" in one["set-env-vars"]
    assert "gpu" not in two  # cluster


def test_every_secret_is_kept_in_the_region_of_the_services(cloud: Cloud) -> None:
    """A project may be limited to regions (gcp.resourceLocations): none is replicated elsewhere."""
    cloud.deploy("--region", "europe-west1", "--only", "process")
    made = [options_of(words) for words in cloud.calls() if words[:2] == ["secrets", "create"]]
    assert len(made) == 4  # the lock is the first
    for options in made:
        assert options["replication-policy"] == "user-managed"
        assert options["locations"] == "europe-west1"


def test_the_apis_that_a_triggers_account_calls_are_enabled(deployed: Cloud) -> None:
    (enable,) = [words for words in deployed.calls() if words[:2] == ["services", "enable"]]
    assert {"iam.googleapis.com", "cloudresourcemanager.googleapis.com"} <= set(enable)


def test_openvino_has_an_image_of_its_own(cloud: Cloud) -> None:
    cloud.deploy("--only", "process", INFERENCE="openvino")
    (build,) = [words for words in cloud.calls() if words[:2] == ["builds", "submit"]]
    assert "_TARGET=openvino" in options_of(build)["substitutions"]
    (deploy,) = [words for words in cloud.calls() if words[:2] == ["run", "deploy"]]
    assert "INFERENCE=openvino" in options_of(deploy)["set-env-vars"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--inference", "tensorrt"], "INFERENCE: cannot be tensorrt"),
        (["--inference", "openvino", "--gpu"], "openvino runs on the CPU, without --gpu"),
    ],
)
def test_an_inference_that_cannot_be_is_refused_at_once(
    cloud: Cloud, words: list[str], complaint: str
) -> None:
    done = cloud.deploy(*words)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not cloud.calls()


def test_only_one_service_is_touched_when_asked(cloud: Cloud) -> None:
    cloud.deploy("--only", "cluster", ACCEPT_INSIGHTFACE_LICENSE="")
    assert not [words for words in cloud.changes() if "process" in words]


def test_each_service_reads_its_secrets_and_named_buckets_only(cloud: Cloud) -> None:
    cloud.deploy("--media-bucket=b1", "--media-bucket", "gs://b2/", WEIGHTS="gs://weights/path")
    grants = [words for words in cloud.calls() if "add-iam-policy-binding" in words]
    found = {(words[words.index("add-iam-policy-binding") + 1], options_of(words)["member"],
              options_of(words)["role"]) for words in grants}  # fmt: skip
    process = "serviceAccount:memoria-process@p-1.iam.gserviceaccount.com"
    build = process.replace("process", "build")
    roles = {(place, role) for place, member, role in found if member == process}
    assert roles == {
        ("gs://b1", "roles/storage.objectViewer"),
        ("gs://b2", "roles/storage.objectViewer"),
        ("memoria-supabase-service-role-key", "roles/secretmanager.secretAccessor"),
        ("memoria-callback-secret", "roles/secretmanager.secretAccessor"),
        ("memoria-webhook-secret", "roles/secretmanager.secretAccessor"),
    }
    assert ("gs://weights", build, "roles/storage.objectViewer") in found


def test_the_licence_of_the_weights_must_be_accepted(cloud: Cloud) -> None:
    done = cloud.deploy(ACCEPT_INSIGHTFACE_LICENSE="")
    assert done.returncode == 1
    assert "non-commercial research only" in done.stderr
    assert cloud.changes() == []


def test_every_wrong_setting_is_named_at_once(cloud: Cloud) -> None:
    cloud.settings = {"SUPABASE_URL": "http://project.supabase.co", "CALLBACK_URL": "ftp://x"}
    done = cloud.deploy("--pack", "nonsense")
    assert done.returncode == 1
    for name in (
        "--pack",
        "SUPABASE_URL",
        "SUPABASE_SERVICE_ROLE_KEY",
        "CALLBACK_URL",
        "CALLBACK_SECRET",
    ):
        assert f"  {name}: " in done.stderr
    assert cloud.changes() == []


@pytest.mark.parametrize("pack", ["yunet_sface1", "yunet_auraface1"])
def test_an_open_pack_asks_for_no_acceptance(cloud: Cloud, pack: str) -> None:
    done = cloud.deploy("--pack", pack, ACCEPT_INSIGHTFACE_LICENSE="")
    assert done.returncode == 0, done.stderr
    (build,) = [words for words in cloud.calls() if words[:2] == ["builds", "submit"]]
    given = pairs(options_of(build)["substitutions"])
    assert given["_MODEL_PACK"] == pack
    assert "_ACCEPT_INSIGHTFACE_LICENSE" not in given
    for service in ("process", "cluster"):
        (revision,) = cloud.service(service)["revisions"].values()
        assert revision["env"]["MODEL_PACK"] == pack


def test_the_packs_are_those_of_the_catalogue() -> None:
    script = (ROOT / "deploy" / "packs.sh").read_text()
    found = {
        name: set(re.search(rf"^{name}_PACKS='(.*)'$", script, re.MULTILINE)[1].split())  # type: ignore[index]
        for name in ("OPEN", "RESEARCH")
    }
    gated = {pack.name for pack in PACKS.values() if pack.licence.must_be_accepted}
    assert found == {"OPEN": set(PACKS) - gated, "RESEARCH": gated}


def test_an_unknown_pack_is_refused_before_anything_is_done(cloud: Cloud) -> None:
    done = cloud.deploy("--pack", "bufalo_l")
    assert done.returncode == 1
    assert "unknown pack bufalo_l; known are yunet_sface1 " in done.stderr
    assert "  " not in done.stderr.partition("known are")[2]
    assert cloud.changes() == []


def test_search_is_a_third_service_of_the_same_image(cloud: Cloud) -> None:
    assert "SEARCH_ORIGINS is empty" in cloud.deploy("--with-search", "--dry-run").stderr
    done = cloud.deploy("--with-search", SEARCH_ORIGINS="https://app.example")
    assert "is empty" not in done.stderr
    assert done.returncode == 0, done.stderr
    (revision,) = cloud.service("search")["revisions"].values()
    assert revision["env"]["SEARCH"] == "only"
    assert revision["env"]["SEARCH_ORIGINS"] == "https://app.example"
    (process,) = cloud.service("process")["revisions"].values()
    assert "SEARCH" not in process["env"]
    images = {
        words[2]: options_of(words)["image"] for words in cloud.calls() if words[1] == "deploy"
    }
    assert images["memoria-search"] == images["memoria-process"]
    assert cloud.serving("search") == {cloud.revisions("search")[0]: 100}
    assert set(cloud.configured()) == {
        "max_in_flight", "process_url", "cluster_url", "webhook_secret",
    }  # fmt: skip
    assert f"{cloud.net.url}/serving/memoria-search" in done.stderr


def test_a_version_without_search_is_not_released_as_search(deployed: Cloud) -> None:
    deployed.net.missing = {"search"}
    old = deployed.serving("process")
    done = deployed.deploy("--with-search")
    assert done.returncode == 1
    assert "a stranger was answered 404, not 401" in done.stderr
    assert deployed.serving("process") == old


def test_search_alone_leaves_the_database_as_it_is(deployed: Cloud) -> None:
    done = deployed.deploy("--only", "search")
    assert done.returncode == 0, done.stderr
    assert not deployed.told()
    (build,) = [words for words in deployed.calls() if words[:2] == ["builds", "submit"]]
    assert pairs(options_of(build)["substitutions"])["_ONLY"] == "search"


def test_an_event_that_outgrows_an_instance_gets_a_larger_one(cloud: Cloud) -> None:
    done = cloud.deploy("--cluster-memory", "32Gi", "--cluster-cpu", "8")
    assert done.returncode == 0, done.stderr
    sizes = {words[2]: options_of(words) for words in cloud.calls() if words[1] == "deploy"}
    assert (sizes["memoria-cluster"]["cpu"], sizes["memoria-cluster"]["memory"]) == ("8", "32Gi")
    assert (sizes["memoria-process"]["cpu"], sizes["memoria-process"]["memory"]) == ("2", "2Gi")


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"CONCURRENCY": "16"}, "MEMORY: 2Gi is too little for CONCURRENCY=16"),
        ({"MEMORY": "1Gi"}, "MEMORY: 1Gi is too little for CONCURRENCY=4"),
        ({"CLUSTER_MEMORY": "32Gi"}, "CLUSTER_MEMORY: Cloud Run gives no 32Gi to 2 CPUs"),
        ({"CLUSTER_CPU": "8"}, "CLUSTER_MEMORY: Cloud Run gives no 2Gi to 8 CPUs"),
        ({"CPU": "3"}, "CPU: 1, 2, 4, 6 or 8, not 3"),
        ({"CONCURRENCY": "0"}, "CONCURRENCY: 1 to 1000"),
        ({"MAX_IN_FLIGHT": "0"}, "MAX_IN_FLIGHT: at least 1"),
        ({"MIN_INSTANCES": "5"}, "MIN_INSTANCES: at most 4, so many instances has cluster"),
    ],
)
def test_limits_that_do_not_fit_together_are_refused(
    cloud: Cloud, environ: dict[str, str], complaint: str
) -> None:
    done = cloud.deploy(**environ)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert cloud.project.calls == []


@pytest.mark.parametrize("name", ["CONCURRENCY", "MAX_IN_FLIGHT"])
def test_nothing_is_divided_by_a_limit_of_nothing(cloud: Cloud, name: str) -> None:
    done = cloud.deploy("--dry-run", **{name: "0"})
    assert [line.split(":")[0] for line in done.stderr.splitlines()[1:]] == [f"  {name}"]


def test_what_cluster_takes_over_is_told_once(cloud: Cloud) -> None:
    for cpu in ("x", "3"):
        assert "CLUSTER_CPU" not in cloud.deploy(CPU=cpu).stderr


def test_the_memory_of_an_instance_is_counted_as_the_functions_count_it() -> None:
    script = (ROOT / "deploy" / "limits.sh").read_text()
    told = {
        name: int(value) for name, value in re.findall(r"^(\w+_MIB)=(\d+)$", script, re.MULTILINE)
    }
    assert told["DECODING_MIB"] == budget.LIMIT_BYTES // budget.MIB
    assert told["REQUEST_MIB"] == budget.FREE_BYTES // budget.MIB
    decision = (ROOT / "docs" / "decisions" / "0207-decoding-children.md").read_text()
    of_a_child = re.search(r"A child holds about (\d+) MiB", decision)
    assert of_a_child
    assert told["CHILDREN_MIB"] >= (int(of_a_child[1]) + KEPT_BYTES // budget.MIB) * CHILDREN
    default = sum(told.values()) + 3 * told["REQUEST_MIB"]
    assert default <= 2048


@pytest.mark.parametrize("environ", [{}, {"MAX_RUN_SECONDS": "600"}])
def test_cloud_run_waits_longer_than_a_run_may_take(cloud: Cloud, environ: dict[str, str]) -> None:
    cloud.deploy("--no-build", "--only", "process", **environ)
    (deploy,) = [words for words in cloud.calls() if words[:2] == ["run", "deploy"]]
    run = float(environ.get("MAX_RUN_SECONDS", Settings.model_fields["max_run_seconds"].default))
    assert int(options_of(deploy)["timeout"]) > run


@pytest.mark.parametrize(("max_in_flight", "concurrency"), [(1, 1), (7, 4), (32, 4), (100, 3)])
def test_instances_and_threads_hold_what_the_queue_sends(
    cloud: Cloud, max_in_flight: int, concurrency: int
) -> None:
    sizes = {"MAX_IN_FLIGHT": str(max_in_flight), "CONCURRENCY": str(concurrency)}
    cloud.deploy("--no-build", "--only", "process", **sizes)
    sent = cloud.configured()["max_in_flight"]
    (words,) = (words for words in cloud.calls() if words[:2] == ["run", "deploy"])
    options = options_of(words)
    at_once = int(options["max-instances"]) * int(options["concurrency"])
    assert at_once >= max_in_flight + max_in_flight // 2
    assert sent["process"] + sent["callback"] <= at_once


def test_the_databases_own_pace_is_that_of_the_defaults(deployed: Cloud) -> None:
    """What the queue sends before anybody configures it fits what is deployed by default."""
    tables = (ROOT / "supabase" / "schemas" / "02_settings.sql").read_text()
    found = re.search(r"\('max_in_flight', '(\{.*?\})'", tables)
    assert found
    pace = json.loads(found[1])
    deploys = {words[2]: options_of(words) for words in deployed.calls() if words[1] == "deploy"}
    room = {
        name: int(options["max-instances"]) * int(options["concurrency"])
        for name, options in deploys.items()
    }
    assert pace["process"] + pace["callback"] == room["memoria-process"]
    assert pace["cluster"] < room["memoria-cluster"]  # and their callbacks
    assert pace.items() >= told_by_default(deployed).items()


def told_by_default(deployed: Cloud) -> dict[str, int]:
    deployed.deploy("connect")
    pace: dict[str, int] = deployed.configured()["max_in_flight"]
    return pace


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--bogus"], "unknown option --bogus"),
        (["frobnicate"], "unknown command frobnicate (deploy, rollback, "),
        (["--tag"], "needs a value"),
        (["--tag", "--dry-run"], "needs a value"),
        (["--media-bucket", "--dry-run"], "needs a value"),
        (["--only", "both"], "--only takes"),
        (["--only=both"], "--only takes"),
        (["--tag="], "needs a value"),
        (["--media-bucket", "gs://b1/photos"], "--media-bucket takes a bucket's name"),
        (["--notify", "me@example.com"], "gcloud beta monitoring channels list"),
        (["--env-file", "/nowhere"], "cannot read"),
    ],
)
def test_a_wrong_option_is_named(cloud: Cloud, words: list[str], complaint: str) -> None:
    done = cloud.deploy(*words)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_without_a_login_nothing_is_tried(cloud: Cloud) -> None:
    cloud.project.account = ""
    done = cloud.deploy()
    assert done.returncode == 1
    assert "gcloud auth login" in done.stderr
    assert cloud.changes() == []


def test_a_webhook_secret_is_made_up_once(cloud: Cloud) -> None:
    cloud.settings |= {"CALLBACK_URL": "off", "CALLBACK_SECRET": ""}
    cloud.deploy("--only", "cluster")
    (first,) = cloud.secret("webhook-secret")
    cloud.deploy("--only", "cluster")
    assert cloud.secret("webhook-secret") == [first]
    assert re.fullmatch("[0-9a-f]{64}", first)


def test_monitoring_is_created_once_and_updated_ever_after(cloud: Cloud) -> None:
    channels = "projects/p/notificationChannels/1,projects/p/notificationChannels/2,12"
    done = cloud.deploy("monitoring", "--notify", channels)
    assert done.returncode == 0, done.stderr
    first = cloud.changes()
    files = len(list((ROOT / "deploy" / "monitoring").rglob("*.json")))
    assert (
        len([words for words in first if words.endswith("create") or " create " in words]) == files
    )
    cloud.deploy("monitoring")
    assert len([words for words in cloud.changes() if " update " in words]) == files
