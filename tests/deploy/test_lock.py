"""One run at a time, and no lock for ever."""

import os
import signal
import subprocess
import threading
import time
from typing import Any

import pytest

from tests.deploy.cloud import secret
from tests.deploy.project import Cloud

LOCK = "memoria-deploying"


def left_lock(expires: str) -> dict[str, Any]:
    """What a run that was killed leaves."""
    return secret({"run": "dead", "by": "ann"}) | {"expires": expires}


STALE, FRESH = "2020-01-01T00:00:00.5Z", "2999-01-01T00:00:00.5Z"


@pytest.mark.parametrize("command", ["deploy", "rollback", "connect", "monitoring"])
def test_every_command_that_changes_something_waits_for_the_others(
    twice: Cloud, command: str
) -> None:
    twice.state["secrets"][LOCK] = left_lock(FRESH)
    before = str(twice.state)
    done = twice.deploy(command)
    assert done.returncode == 1
    assert "another run is under way here: run dead by ann" in done.stderr
    assert f"by\nitself at {FRESH}" in done.stderr
    assert str(twice.state) == before
    assert not twice.told()


@pytest.mark.parametrize("command", ["rollback", "connect", "monitoring"])
def test_and_gives_the_lock_back(twice: Cloud, command: str) -> None:
    done = twice.deploy(command)
    assert done.returncode == 0, done.stderr
    assert any(words[:3] == ["secrets", "create", LOCK] for words in twice.calls())
    assert LOCK not in twice.state["secrets"]


def test_a_second_deployment_sees_that_one_is_under_way(deployed: Cloud) -> None:
    second: list[subprocess.CompletedProcess[str]] = []

    def start_another() -> None:
        deployed.net.on_ready = None
        second.append(deployed.run("--tag", "t3"))

    deployed.net.on_ready = start_another
    done = deployed.deploy("--tag", "t2")
    assert done.returncode == 0, done.stderr
    assert second[0].returncode == 1
    assert "another run is under way here: deploy" in second[0].stderr
    assert deployed.serving() == {deployed.revisions()[1]: 100}
    assert len(deployed.revisions()) == 2
    assert LOCK not in deployed.state["secrets"]


@pytest.mark.parametrize("taken", [True, False], ids=["another has it", "nobody has it"])
def test_a_run_that_lost_its_lock_promotes_nothing_and_leaves_what_is_there(
    deployed: Cloud, taken: bool
) -> None:
    (old,) = deployed.revisions()

    def lose() -> None:
        del deployed.state["secrets"][LOCK]
        if taken:
            deployed.state["secrets"][LOCK] = left_lock(FRESH) | {"etag": '"77"'}

    deployed.net.on_ready = lose
    done = deployed.deploy("--tag", "t2", "--only", "process")
    assert done.returncode == 1
    assert "this run's lock cannot be renewed" in done.stderr
    assert deployed.serving() == {old: 100}
    assert (LOCK in deployed.state["secrets"]) == taken


def test_two_at_once_for_all_that_never_promote_each_others_revision(deployed: Cloud) -> None:
    def start_another() -> None:
        deployed.net.on_ready = None
        ours = deployed.state["secrets"].pop(LOCK)
        deployed.net.broken = {"candidate/memoria-process": 404}  # the other one's is bad
        assert deployed.run("--tag", "t3").returncode == 1
        deployed.net.broken = {}
        deployed.state["secrets"][LOCK] = ours

    deployed.net.on_ready = start_another
    (old,) = deployed.revisions()
    done = deployed.deploy("--tag", "t2")
    assert done.returncode == 1
    assert "another deployment took the tag" in done.stderr
    assert deployed.serving() == {old: 100}


def test_a_lock_that_ran_out_and_is_still_there_does_not_block(deployed: Cloud) -> None:
    deployed.state["secrets"][LOCK] = left_lock(STALE)
    done = deployed.deploy("connect")
    assert done.returncode == 0, done.stderr
    assert "the lock of run dead by ann ran out" in done.stderr
    assert LOCK not in deployed.state["secrets"]


def test_a_lock_without_an_end_is_nobodys_to_take(deployed: Cloud) -> None:
    deployed.state["secrets"][LOCK] = secret({})
    assert deployed.deploy("connect").returncode == 1
    assert LOCK in deployed.state["secrets"]


def test_two_do_not_both_take_over_a_lock_that_ran_out(deployed: Cloud) -> None:
    """The other one is quicker between our look and our removal: its new lock stays."""
    deployed.state["secrets"][LOCK] = left_lock(STALE)
    theirs = left_lock(FRESH) | {"etag": '"9"'}

    def replace(words: list[str]) -> None:
        if words[:3] == ["secrets", "delete", LOCK]:
            deployed.state["secrets"][LOCK] = theirs

    deployed.project.before = replace
    done = deployed.deploy("connect")
    assert done.returncode == 1
    assert "another run may be taking it over" in done.stderr
    assert deployed.state["secrets"][LOCK] == theirs
    assert not deployed.told()


def test_a_lock_that_cannot_be_taken_is_no_lock(deployed: Cloud) -> None:
    done = deployed.deploy(CLOUD_FAILS="secrets create memoria-deploying")
    assert done.returncode == 1
    assert "no lock" in done.stderr
    assert "another run" not in done.stderr


def test_a_lock_whose_making_was_not_heard_of_is_given_back(deployed: Cloud) -> None:
    done = deployed.deploy("connect", CLOUD_LOSES="secrets create memoria-deploying")
    assert done.returncode == 1
    assert LOCK not in deployed.state["secrets"]


def test_a_lock_that_gcloud_asked_for_twice_is_ours(deployed: Cloud) -> None:
    """The first answer was lost on its way, and the second one is: it is there already."""

    def made_before(words: list[str]) -> None:
        if words[:3] == ["secrets", "create", LOCK]:
            run = next(w for w in words if w.startswith("--labels=")).split("=")[2].split(",")[0]
            deployed.state["secrets"][LOCK] = secret({"run": run}) | {"expires": FRESH}

    deployed.project.before = made_before
    done = deployed.deploy("connect")
    assert done.returncode == 0, done.stderr
    assert LOCK not in deployed.state["secrets"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_deployment_that_is_stopped_gives_its_lock_back(
    deployed: Cloud, number: signal.Signals
) -> None:
    stopped = threading.Event()
    deployed.net.on_ready = lambda: stopped.wait(60)
    running = subprocess.Popen(
        ["env", "--default-signal=INT", *deployed.command("--tag", "t2", "--only", "cluster")],
        env=deployed.environ(), cwd=deployed.folder, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not any("ready" in request.path for request in deployed.net.requests):
        assert running.poll() is None
        time.sleep(0.05)
    assert LOCK in deployed.state["secrets"]
    os.killpg(running.pid, number)
    assert running.wait(timeout=60) != 0
    stopped.set()
    assert LOCK not in deployed.state["secrets"]


def test_a_lock_that_was_left_is_removed_on_request(deployed: Cloud) -> None:
    deployed.state["secrets"][LOCK] = left_lock(FRESH)
    done = deployed.deploy("connect")
    assert "./deploy.sh unlock --project p-1" in done.stderr
    done = deployed.deploy("unlock")
    assert done.returncode == 0
    assert "the lock of run dead by ann" in done.stderr
    assert LOCK not in deployed.state["secrets"]
    assert "there is no lock" in deployed.deploy("unlock").stderr
