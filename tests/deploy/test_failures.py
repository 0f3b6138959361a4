"""What is live stays as it was when something fails, and what is said of it is true."""

import copy
import os
import signal
import subprocess
import time

import pytest

from tests.deploy.project import SETTINGS, Cloud

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
    cloud.deploy()
    done = cloud.deploy(CLOUD_FAILS="versions access latest .*webhook")
    assert done.returncode == 1
    assert len(cloud.secret("webhook-secret")) == 1
    assert not [words for words in cloud.changes() if words.startswith("run ")]


def test_supabase_is_not_told_a_url_that_nobody_knows(deployed: Cloud) -> None:
    for words, fails in (
        (["connect"], "services describe"),
        ([], "services describe memoria-process .*status.url"),
    ):
        done = deployed.deploy(*words, CLOUD_FAILS=fails)
        assert done.returncode == 1
        assert not [request for request in deployed.net.requests if "/rpc/" in request.path]


def test_a_dashboard_that_cannot_be_looked_for_is_not_made_twice(cloud: Cloud) -> None:
    done = cloud.deploy("monitoring", CLOUD_FAILS="dashboards list")
    assert done.returncode == 1
    assert not [words for words in cloud.changes() if words.startswith("monitoring dashboards")]


TROUBLE = {
    "not ready": {"broken": {"candidate/memoria-process": 404}},
    "open to strangers": {"strangers": 200},
    "no outcome": {"outcome": '{"error": {"code": "store_unavailable"}}'},
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=list(TROUBLE))
def test_a_revision_that_fails_its_smoke_test_gets_no_traffic(
    deployed: Cloud, trouble: dict[str, object]
) -> None:
    (old,) = deployed.revisions()
    for name, value in trouble.items():
        setattr(deployed.net, name, value)
    done = deployed.deploy("--tag", "t2")
    assert done.returncode == 1
    assert f"it gets no traffic, {old} goes on serving" in done.stderr
    assert deployed.serving() == {old: 100}
    assert not [words for words in deployed.changes() if "update-traffic" in words]


def test_nothing_is_promoted_before_every_service_was_tried(deployed: Cloud) -> None:
    old = deployed.serving("process")
    deployed.net.broken = {"candidate/memoria-cluster": 404}
    assert deployed.deploy("--tag", "t2").returncode == 1
    assert deployed.serving("process") == old


def test_where_the_second_promotion_fails_the_first_is_named(deployed: Cloud) -> None:
    done = deployed.deploy("--tag", "t2", CLOUD_FAILS="update-traffic memoria-cluster")
    assert done.returncode == 1
    assert "New already: process; back with ./deploy.sh rollback --only" in done.stderr


def test_a_first_release_that_fails_says_that_it_serves(cloud: Cloud) -> None:
    cloud.net.broken = {"candidate/memoria-process": 404}
    done = cloud.deploy()
    assert done.returncode == 1
    assert "no traffic" not in done.stderr
    assert "its first revision failed its smoke test. It serves all the same" in done.stderr
    assert cloud.serving() == {cloud.revisions()[0]: 100}
    assert not [request for request in cloud.net.requests if "/rpc/" in request.path]


def test_nobody_rolls_back_to_a_first_release_that_failed(cloud: Cloud) -> None:
    cloud.net.broken = {"candidate/memoria-process": 404}
    cloud.deploy()
    cloud.deploy()  # fails again: the tag candidate goes to another revision
    cloud.net.broken = {}
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert cloud.tags() == {"current": cloud.revisions()[-1]}
    assert cloud.deploy("rollback").returncode == 1


def test_a_first_revision_that_never_started_does_not_block_the_next(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.service().update(traffic={}, tags={})
    assert cloud.deploy().returncode == 0


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


def test_a_second_deployment_sees_that_one_is_under_way(deployed: Cloud) -> None:
    second: list[subprocess.CompletedProcess[str]] = []

    def start_another() -> None:
        deployed.net.on_ready = None
        second.append(deployed.run("--tag", "t3"))

    deployed.net.on_ready = start_another
    done = deployed.deploy("--tag", "t2")
    assert done.returncode == 0, done.stderr
    assert second[0].returncode == 1
    assert "another deployment is under way" in second[0].stderr
    assert deployed.serving() == {deployed.revisions()[1]: 100}
    assert len(deployed.revisions()) == 2
    assert "memoria-deploying" not in deployed.state["secrets"]


def test_where_the_lock_ran_out_the_revision_that_was_tried_is_promoted_or_none(
    deployed: Cloud,
) -> None:
    """Two at once for all that: each promotes its own revision or stops, never the other's."""
    second: list[subprocess.CompletedProcess[str]] = []

    def start_another() -> None:
        deployed.net.on_ready = None
        del deployed.state["secrets"]["memoria-deploying"]
        deployed.net.broken = {"candidate/memoria-process": 404}  # the other one's is bad
        second.append(deployed.run("--tag", "t3"))
        deployed.net.broken = {}

    deployed.net.on_ready = start_another
    (old,) = deployed.revisions()
    done = deployed.deploy("--tag", "t2")
    assert second[0].returncode == 1
    assert done.returncode == 1
    assert "another deployment took the tag" in done.stderr
    assert deployed.serving() == {old: 100}


def test_a_lock_that_cannot_be_taken_is_no_lock(deployed: Cloud) -> None:
    done = deployed.deploy(CLOUD_FAILS="secrets create memoria-deploying")
    assert done.returncode == 1
    assert "no lock" in done.stderr
    assert "another deployment" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_deployment_that_is_stopped_gives_its_lock_back(
    deployed: Cloud, number: signal.Signals
) -> None:
    deployed.net.on_ready = lambda: time.sleep(3)
    running = subprocess.Popen(
        ["env", "--default-signal=INT", *deployed.command("--tag", "t2")],
        env=deployed.environ(), cwd=deployed.folder, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not any("ready" in request.path for request in deployed.net.requests):
        assert running.poll() is None
        time.sleep(0.05)
    assert "memoria-deploying" in deployed.state["secrets"]
    os.killpg(running.pid, number)
    assert running.wait(timeout=60) != 0
    assert "memoria-deploying" not in deployed.state["secrets"]


def test_a_lock_that_was_left_is_removed_on_request(deployed: Cloud) -> None:
    deployed.state["secrets"]["memoria-deploying"] = {"labels": {"run": "dead"}, "versions": []}
    done = deployed.deploy()
    assert done.returncode == 1
    assert "./deploy.sh unlock --project p-1" in done.stderr
    assert "memoria-deploying" in deployed.state["secrets"]
    assert deployed.deploy("unlock").returncode == 0
    assert deployed.deploy().returncode == 0


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


def test_rollback_sends_the_traffic_back(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2")
    old, new = deployed.revisions()
    done = deployed.deploy("rollback", "--only", "process")
    assert done.returncode == 0, done.stderr
    assert deployed.serving() == {old: 100}
    assert deployed.serving("cluster") == {deployed.revisions("cluster")[1]: 100}
    assert "run ./deploy.sh connect" not in done.stderr
    again = deployed.deploy("rollback", "--only", "process")
    assert "no revision is tagged previous" in again.stderr
    deployed.deploy("--tag", "t3", "--only", "process")
    assert deployed.tags()["previous"] == old
    assert new not in deployed.tags().values()


def test_rollback_without_a_past_says_so(deployed: Cloud) -> None:
    done = deployed.deploy("rollback")
    assert done.returncode == 1
    assert "no revision is tagged previous" in done.stderr


def test_a_rollback_that_cannot_look_moves_nothing(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2")
    assert deployed.deploy("rollback", CLOUD_FAILS="services describe").returncode == 1
    assert deployed.serving() == {deployed.revisions()[1]: 100}


def test_after_a_rollback_connect_tells_supabase_the_secret_that_serves_again(
    deployed: Cloud,
) -> None:
    assert deployed.deploy("--tag", "t2", WEBHOOK_SECRET="newer").returncode == 0
    assert deployed.configured()["webhook_secret"] == "newer"
    done = deployed.deploy("rollback")
    assert "accepts an older WEBHOOK_SECRET again" in done.stderr
    assert "run ./deploy.sh connect" in done.stderr
    assert deployed.deploy("connect", WEBHOOK_SECRET="newer").returncode == 0
    assert deployed.configured()["webhook_secret"] == SETTINGS["CALLBACK_SECRET"]


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
    done = deployed.deploy(WEBHOOK_SECRET="newer")
    assert "is refused between the release and the last step" in done.stderr
    old = SETTINGS["CALLBACK_SECRET"]
    done = deployed.deploy(WEBHOOK_SECRET="newest", WEBHOOK_SECRET_PREVIOUS=old)
    assert "is refused between" not in done.stderr


def test_connect_does_not_choose_between_two_secrets(deployed: Cloud) -> None:
    deployed.deploy("--tag", "t2", WEBHOOK_SECRET="newer")
    deployed.deploy("rollback", "--only", "process")
    done = deployed.deploy("connect")
    assert done.returncode == 1
    assert "accept different secrets of callers" in done.stderr
