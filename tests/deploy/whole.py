"""A whole system on this machine, and what memoria doctor and deploy.sh's smoke test say of it."""

import os
import subprocess

from local.processes.stack import Stack, StackOptions
from memoria.cli import doctor
from memoria.cli.diagnosis import Finding
from tests.data import any_pack
from tests.deploy.project import ROOT

SMOKE = """
set -euo pipefail
ROOT=$1 DRY_RUN=no LOCKED=no
for part in say lock smoke; do source "$ROOT/deploy/$part.sh"; done
smoke_test "$2" "$3"
"""


def options() -> StackOptions:
    """A small pack, searches, and no long waits."""
    return StackOptions(
        environ={"MODEL_DIR": str(any_pack()), "SEARCH": "on"},
        settings={"quiet_period_seconds": 1},
        sweep_seconds=1,
    )


def examined(*, probe: bool = False) -> dict[str, Finding]:
    """Each finding by what it is about."""
    return {found.about: found for found in doctor.examine(probe=probe, wait_seconds=30)}


def wrong(findings: dict[str, Finding]) -> set[str]:
    return {about for about, found in findings.items() if found.state == "wrong"}


def smoke_test(stack: Stack, service: str) -> subprocess.CompletedProcess[str]:
    """deploy.sh's, of a function that runs: process, cluster or search."""
    url = stack.cluster_url if service == "cluster" else stack.process_url
    known = {
        "PATH": os.environ["PATH"],
        "NO_PROXY": "127.0.0.1",
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SERVICE_ROLE_KEY": stack.keys.secret,
        "WEBHOOK_SECRET": stack.webhook_secret,
    }
    return subprocess.run(
        ["bash", "-c", SMOKE, "bash", str(ROOT), service, url], env=known, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
