"""deploy.sh with the real gcloud, which talks to a stand-in of Google's APIs (google.py).

What this shows is how gcloud itself behaves: which words it takes, what it prints, how it fails,
what it does to traffic and tags. Google's own services were never part of it. Run by `make soak`:
every call of gcloud takes one to three seconds.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.google import Google
from tests.deploy.internet import Internet
from tests.deploy.project import ROOT, SETTINGS
from tests.deploy.test_sent import checkout, uploaded

GCLOUD = shutil.which("gcloud")
APIS = ("run", "secretmanager", "artifactregistry", "iam", "serviceusage", "cloudresourcemanager")

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed"),
]


@dataclass
class Real:
    """The project, the internet, and the environment in which gcloud and curl find both."""

    google: Google
    net: Internet
    environ: dict[str, str]

    def deploy(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        common = ["--project", "p-1", "--no-build", "--env-file", "/dev/null", "--only", "process"]
        return self.run("bash", str(ROOT / "deploy.sh"), *words, *common, **environ)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, env={**self.environ, **environ}, stdin=subprocess.DEVNULL, timeout=600,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    @property
    def service(self) -> dict[str, Any]:
        known: dict[str, Any] = self.google.state["services"]["memoria-process"]
        return known


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with Google() as google, Internet(tmp_path, google) as net:
        (tmp_path / "token").write_text("a-token")
        proxy = {"TYPE": "http", "ADDRESS": "127.0.0.1", "PORT": str(google.port)}
        hosts = {api.upper(): f"http://{api}.googleapis.com/" for api in APIS}
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
            "CLOUDSDK_CORE_ACCOUNT": "me@example.com",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(tmp_path / "token"),
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CURL_CA_BUNDLE": str(net.authority),
            "RETRY_SECONDS": "0",
            **{f"CLOUDSDK_PROXY_{name}": value for name, value in proxy.items()},
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": host for api, host in hosts.items()},
            **SETTINGS,
            "SUPABASE_URL": net.url,
        }
        yield Real(google, net, environ)


def test_a_release_a_failed_one_a_good_one_and_back(real: Real) -> None:
    done = real.deploy("--tag", "t1", CALLBACK_URL="https://[2001:db8::1]/cb?a=1,2::LD_PRELOAD=x")
    assert done.returncode == 0, done.stderr
    (first,) = real.service["revisions"]
    assert real.service["tags"] == {"current": first}
    given = real.service["revisions"][first]
    assert given["env"]["CALLBACK_URL"] == "https://[2001:db8::1]/cb?a=1,2::LD_PRELOAD=x"
    assert given["secrets"]["WEBHOOK_SECRET"] == "memoria-webhook-secret:1"
    assert real.google.secrets["memoria-callback-secret"]["versions"] == [
        SETTINGS["CALLBACK_SECRET"]
    ]
    here = {"userManaged": {"replicas": [{"location": "us-central1"}]}}
    assert {str(made["replication"]) for made in real.google.secrets.values()} == {str(here)}
    assert "memoria-deploying" not in real.google.secrets

    real.net.broken = {"candidate/memoria-process": 404}
    done = real.deploy("--tag", "t2", WEBHOOK_SECRET="newer")
    assert done.returncode == 1
    assert f"gets no traffic; memoria-process is served by {first}" in done.stderr
    assert real.service["traffic"] == {first: 100}
    assert real.service["revisions"][first] == given

    real.net.broken = {}
    done = real.deploy("--tag", "t3", WEBHOOK_SECRET="newer", MAX_IN_FLIGHT="64")
    assert done.returncode == 0, done.stderr
    third = list(real.service["revisions"])[-1]
    assert real.service["traffic"] == {third: 100}
    assert real.service["tags"] == {"current": third, "previous": first}

    done = real.deploy("rollback")
    assert done.returncode == 0, done.stderr
    assert real.service["traffic"] == {first: 100}
    assert real.service["tags"] == {"current": first}
    assert "accepts an older WEBHOOK_SECRET again" in done.stderr
    done = real.deploy("connect", MAX_IN_FLIGHT="64")
    assert done.returncode == 0, done.stderr
    told = json.loads(real.net.requests[-1].body)["p_settings"]
    assert told["webhook_secret"] == SETTINGS["CALLBACK_SECRET"]
    assert told["max_in_flight"]["process"] == 32


@pytest.mark.parametrize("status", [429, 403])
def test_a_service_that_cannot_be_asked_for_stops_the_deployment(real: Real, status: int) -> None:
    assert real.deploy("--tag", "t1").returncode == 0
    before = real.google.state["services"]
    real.google.fails, real.google.fails_with = r"GET \S*run\.googleapis\.com/apis", status
    done = real.deploy("--tag", "t2")
    assert done.returncode == 1
    assert "cannot tell what is there" in done.stderr
    assert real.google.state["services"] == before


def test_a_second_run_sees_the_lock(real: Real) -> None:
    create = ("secrets", "create", "memoria-deploying", "--replication-policy=user-managed")
    made = real.run(
        "gcloud",
        *create,
        "--locations=us-central1",
        "--quiet",
        "--labels=run=1,by=ann",
        "--ttl=7200s",
        "--project=p-1",
    )
    assert made.returncode == 0, made.stderr
    done = real.deploy("connect")
    assert done.returncode == 1
    assert "another run is under way here: run 1 by ann" in done.stderr
    done = real.deploy("unlock")
    assert done.returncode == 0, done.stderr
    assert "memoria-deploying" not in real.google.secrets


def test_a_lock_that_ran_out_is_taken_over_and_a_lost_one_is_not_given_back(real: Real) -> None:
    old = {"versions": [], "states": {}, "etag": '"1"', "expires": "2020-01-01T00:00:00.5Z"}
    real.google.secrets["memoria-deploying"] = {**old, "labels": {"run": "1", "by": "ann"}}

    def lose() -> None:
        another = {"etag": '"77"', "labels": {"run": "2", "by": "ann"}}
        real.google.secrets["memoria-deploying"] |= another

    real.net.on_ready = lose
    done = real.deploy("--tag", "t1")
    assert done.returncode == 1
    assert "ran out at 2020" in done.stderr
    assert "this run's lock cannot be renewed" in done.stderr
    assert "does not match" in done.stderr
    assert real.google.secrets["memoria-deploying"]["etag"] == '"77"'


def test_a_secret_that_was_switched_off_is_not_made_anew(real: Real) -> None:
    callbacks = {"CALLBACK_URL": "off", "CALLBACK_SECRET": ""}
    real.google.secrets["memoria-webhook-secret"] = {
        "versions": ["old"], "states": {1: "DESTROYED"}, "etag": '"1"',
    }  # fmt: skip
    done = real.deploy("--tag", "t1", **callbacks)
    assert done.returncode == 1
    assert "version 1 of memoria-webhook-secret is DESTROYED" in done.stderr


def test_a_gcloud_that_was_told_to_be_silent_is_told_to_speak(real: Real) -> None:
    assert real.deploy("--tag", "t1", CLOUDSDK_CORE_USER_OUTPUT_ENABLED="false").returncode == 0
    done = real.deploy("--tag", "t2", CLOUDSDK_CORE_USER_OUTPUT_ENABLED="false")
    assert done.returncode == 0, done.stderr
    assert "--no-traffic" in done.stderr


def test_gcloud_reads_the_list_of_what_it_sends_as_git_does(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    listed = subprocess.run(
        ["gcloud", "meta", "list-files-for-upload", str(folder)], capture_output=True, text=True,
        check=True, env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "config")},
    )  # fmt: skip
    assert set(listed.stdout.split()) == uploaded(folder)
