"""The way back: everything is read before the first service is moved, and what is said is true."""

import copy

import pytest

from tests.deploy.project import SETTINGS, Cloud

FIRST_SECRET = SETTINGS["CALLBACK_SECRET"]


def test_rollback_sends_the_traffic_back(twice: Cloud) -> None:
    old, new = twice.revisions()
    done = twice.deploy("rollback", "--only", "process")
    assert done.returncode == 0, done.stderr
    assert twice.serving() == {old: 100}
    assert twice.serving("cluster") == {twice.revisions("cluster")[1]: 100}
    assert "./deploy.sh connect" not in done.stderr
    again = twice.deploy("rollback", "--only", "process")
    assert "no revision is tagged previous" in again.stderr
    twice.deploy("--tag", "t3", "--only", "process")
    assert twice.tags()["previous"] == old
    assert new not in twice.tags().values()


def test_rollback_without_a_past_says_so(deployed: Cloud) -> None:
    done = deployed.deploy("rollback")
    assert done.returncode == 1
    assert "no revision is tagged previous; nothing was moved" in done.stderr


READS = [
    "services describe memoria-process",
    "services describe memoria-cluster",
    "revisions describe memoria-cluster",
    "versions describe .*webhook",
]


@pytest.mark.parametrize("fails", READS)
def test_a_rollback_that_cannot_look_moves_nothing(twice: Cloud, fails: str) -> None:
    before = copy.deepcopy(twice.state["services"])
    assert twice.deploy("rollback", CLOUD_FAILS=fails).returncode == 1
    assert twice.state["services"] == before


def test_what_is_left_may_be_broken_in_any_way(rotated: Cloud) -> None:
    rotated.state["secrets"]["memoria-webhook-secret"]["states"] = {2: "DESTROYED"}
    old, new = rotated.revisions()
    done = rotated.deploy("rollback", CLOUD_FAILS=f"revisions describe {new}")
    assert done.returncode == 0, done.stderr
    assert rotated.serving() == {old: 100}
    assert "run ./deploy.sh connect" in done.stderr


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_nobody_rolls_back_to_what_could_not_start(rotated: Cloud, state: str) -> None:
    before = copy.deepcopy(rotated.state["services"])
    rotated.state["secrets"]["memoria-webhook-secret"]["states"] = {1: state}
    done = rotated.deploy("rollback")
    assert done.returncode == 1
    assert f"which is {state}: it could not start; nothing was moved" in done.stderr
    assert rotated.state["services"] == before


@pytest.mark.parametrize("how", ["CLOUD_FAILS", "CLOUD_LOSES"])
def test_a_rollback_that_stops_halfway_says_what_serves(twice: Cloud, how: str) -> None:
    done = twice.deploy("rollback", **{how: "update-traffic memoria-cluster"})
    assert done.returncode == 1
    for service in ("process", "cluster"):
        (serving,) = twice.serving(service)
        assert f"memoria-{service} is served by {serving}\n" in done.stderr
    assert "./deploy.sh rollback --project p-1 --region us-central1" in done.stderr


def test_after_a_rollback_connect_tells_supabase_the_secret_that_serves_again(
    rotated: Cloud,
) -> None:
    done = rotated.deploy("rollback")
    assert "accepts an older WEBHOOK_SECRET again (version 1" in done.stderr
    assert "run ./deploy.sh connect" in done.stderr
    assert rotated.deploy("connect", WEBHOOK_SECRET="newer").returncode == 0
    assert rotated.configured()["webhook_secret"] == FIRST_SECRET


def test_after_a_rollback_connect_tells_supabase_the_pace_of_what_serves(deployed: Cloud) -> None:
    assert deployed.deploy("--tag", "t2", MAX_IN_FLIGHT="64").returncode == 0
    assert deployed.configured()["max_in_flight"] == {"process": 64, "callback": 32}
    done = deployed.deploy("rollback")
    assert done.returncode == 0
    assert "MAX_IN_FLIGHT=32 again, and Supabase goes on with 64: run ./deploy.sh c" in done.stderr
    done = deployed.deploy("connect", MAX_IN_FLIGHT="64")
    assert deployed.configured()["max_in_flight"] == {"process": 32, "callback": 16}
    assert "MAX_IN_FLIGHT is 32, as what serves was made with" in done.stderr


def test_a_pace_that_cannot_be_read_does_not_stop_the_way_back(deployed: Cloud) -> None:
    assert deployed.deploy("--tag", "t2", MAX_IN_FLIGHT="64").returncode == 0
    old, new = deployed.revisions()
    done = deployed.deploy("rollback", CLOUD_FAILS=f"revisions describe {new}")
    assert done.returncode == 0, done.stderr
    assert deployed.serving() == {old: 100}


def test_of_a_split_the_slower_pace(deployed: Cloud) -> None:
    assert deployed.deploy("--tag", "t2", MAX_IN_FLIGHT="8").returncode == 0
    old, new = deployed.revisions()
    deployed.service()["traffic"] = {old: 50, new: 50}
    assert deployed.deploy("connect").returncode == 0
    assert deployed.configured()["max_in_flight"]["process"] == 8


def test_a_revision_of_an_older_deployment_does_not_tell_its_pace(deployed: Cloud) -> None:
    (revision,) = deployed.revisions()
    del deployed.service()["revisions"][revision]["env"]["MAX_IN_FLIGHT"]
    done = deployed.deploy("connect", MAX_IN_FLIGHT="16")
    assert deployed.configured()["max_in_flight"]["process"] == 16
    assert f"{revision} does not tell its MAX_IN_FLIGHT: it is given 16" in done.stderr


@pytest.mark.parametrize("only", [[], ["--only", "process"], ["--only", "cluster"]], ids=str)
def test_connect_does_not_choose_between_two_secrets(rotated: Cloud, only: list[str]) -> None:
    done = rotated.deploy("rollback", "--only", "process")
    assert "roll back the other one too, or deploy both" in done.stderr
    assert "./deploy.sh connect" not in done.stderr
    done = rotated.deploy("connect", *only)
    assert done.returncode == 1
    assert "accept different secrets of callers" in done.stderr
    assert not rotated.told()


def test_nor_between_those_of_a_split(rotated: Cloud) -> None:
    old, new = rotated.revisions()
    rotated.service()["traffic"] = {old: 50, new: 50}
    done = rotated.deploy("connect")
    assert done.returncode == 1
    assert "split between revisions that accept different secrets" in done.stderr


@pytest.mark.parametrize("only", ["process", "cluster"])
def test_connect_of_one_service_leaves_the_pace_and_place_of_the_other(
    deployed: Cloud, only: str
) -> None:
    assert deployed.deploy("connect", "--only", only).returncode == 0
    told = set(deployed.configured())
    paced = {"max_in_flight"} if only == "process" else set()
    assert told == {"webhook_secret", f"{only}_url"} | paced


def test_connect_before_the_other_service_is_there(cloud: Cloud) -> None:
    assert cloud.deploy("--only", "process").returncode == 0
    assert cloud.deploy("connect", "--only", "process").returncode == 0
    done = cloud.deploy("connect")
    assert done.returncode == 1
    assert "memoria-cluster does not serve" in done.stderr


@pytest.mark.parametrize("stored", ["off", "a\nb", 'a"\nurl = "https://evil.example'])
def test_a_secret_that_nobody_can_present_is_not_presented(deployed: Cloud, stored: str) -> None:
    deployed.secret("webhook-secret")[0] = stored
    done = deployed.deploy("connect")
    assert done.returncode == 1
    assert "WEBHOOK_SECRET: " in done.stderr
    assert not deployed.net.requests


def test_connect_with_search_alone_says_that_there_is_nothing_to_tell(deployed: Cloud) -> None:
    assert deployed.deploy("--only", "search").returncode == 0
    done = deployed.deploy("connect", "--only", "search")
    assert done.returncode == 0
    assert "Supabase need not know" in done.stderr


def test_what_could_not_be_told_is_said_truly(deployed: Cloud) -> None:
    deployed.net.supabase_status = 503
    done = deployed.deploy("connect")
    assert done.returncode == 1
    assert "Supabase answered 503" in done.stderr
    assert "it goes on with what it knew before" in done.stderr
    assert "./deploy.sh connect --project p-1 --region us-central1" in done.stderr
