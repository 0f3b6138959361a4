"""deploy.sh, run against an empty Google Cloud project."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.cloud import Call, Project
from tests.deploy.internet import Internet, Request

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_'$(touch pwned)\"",
    "CALLBACK_URL": "https://app.example/callback?a=1,2&b=c%20d",
    "CALLBACK_SECRET": 'callback \\ "secret"',
    "MEDIA_URL_HOSTS": "a.example,b.example",
    "ACCEPT_INSIGHTFACE_LICENSE": "yes",
}
SECRETS = [SETTINGS["SUPABASE_SERVICE_ROLE_KEY"], SETTINGS["CALLBACK_SECRET"]]
CURL = shutil.which("curl")


@dataclass
class Cloud:
    """An empty project, the stand-in for its gcloud, and the internet that curl sees."""

    folder: Path
    project: Project
    net: Internet
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))

    def __post_init__(self) -> None:
        self.settings.setdefault("SUPABASE_URL", self.net.url)
        tools = self.folder / "bin"
        tools.mkdir()
        for tool in ("gcloud", "curl", "psql"):
            shutil.copy(ROOT / "tests" / "deploy" / "tool.sh", tools / tool)
            (tools / tool).chmod(0o755)

    def environ(self, **more: str) -> dict[str, str]:
        if CURL is None:
            pytest.skip("needs curl")
        known = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CLOUD_PORT": str(self.project.port),
            "REAL_CURL": CURL,
            "CURL_CA_BUNDLE": str(self.net.authority),
            "NO_PROXY": "localhost",
            "RETRY_SECONDS": "0",
        }
        return known | self.settings | more

    def deploy(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run it in the project p-1, without the checkout's own .env; the log starts anew."""
        self.project.calls.clear()
        self.net.requests.clear()
        return self.run(*words, **environ)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.environ(**environ), cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def command(self, *words: str) -> list[str]:
        if "--env-file" not in words:
            words = (*words, "--env-file", "/dev/null")
        if "--project" not in words:
            words = (*words, "--project", "p-1")
        return ["bash", str(ROOT / "deploy.sh"), *words]

    def recorded(self, tool: str = "gcloud") -> list[Call]:
        return [call for call in self.project.calls if call.tool == tool]

    def calls(self, tool: str = "gcloud") -> list[list[str]]:
        return [call.words for call in self.recorded(tool)]

    def changes(self) -> list[str]:
        """What changed something, as its plain words; taking and giving back the lock aside."""
        plain = [" ".join(w for w in words if not w.startswith("-")) for words in self.calls()]
        reading = r"\b(describe|list|read|access|get-value|print-access-token)\b|memoria-deploying$"
        return [words for words in plain if not re.search(reading, words)]

    @property
    def state(self) -> dict[str, Any]:
        """What is in the project; a test may change it as somebody else would."""
        return self.project.state

    def service(self, name: str = "process") -> dict[str, Any]:
        known: dict[str, Any] = self.state["services"][f"memoria-{name}"]
        return known

    def serving(self, service: str = "process") -> dict[str, int]:
        """Revision -> its share of the traffic."""
        shares: dict[str, int] = self.service(service)["traffic"]
        return shares

    def revisions(self, service: str = "process") -> list[str]:
        """Oldest first."""
        return list(self.service(service)["revisions"])

    def tags(self, service: str = "process") -> dict[str, str]:
        tags: dict[str, str] = self.service(service)["tags"]
        return tags

    def secret(self, name: str) -> list[str]:
        """The versions of a secret, oldest first."""
        versions: list[str] = self.state["secrets"][f"memoria-{name}"]["versions"]
        return versions

    def told(self) -> list[Request]:
        """The requests that tell Supabase something."""
        return [request for request in self.net.requests if "memoria_configure" in request.path]

    def configured(self) -> dict[str, Any]:
        """What Supabase was told last."""
        settings: dict[str, Any] = json.loads(self.told()[-1].body)["p_settings"]
        return settings


def options_of(words: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").partition("=")[::2] for word in words if word[:2] == "--")
