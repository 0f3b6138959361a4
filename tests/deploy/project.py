"""An empty Google Cloud project, and deploy.sh run against it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_'$(touch pwned)\"",
    "CALLBACK_URL": "https://app.example/callback?a=1,2&b=c d",
    "CALLBACK_SECRET": "callback \\ secret",
    "MEDIA_URL_HOSTS": "a.example,b.example",
    "ACCEPT_INSIGHTFACE_LICENSE": "yes",
}
SECRETS = [SETTINGS["SUPABASE_SERVICE_ROLE_KEY"], SETTINGS["CALLBACK_SECRET"]]


@dataclass
class Cloud:
    """An empty project and the recorder that stands for gcloud, curl and psql."""

    folder: Path
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))

    def __post_init__(self) -> None:
        tools = self.folder / "bin"
        tools.mkdir()
        recorder = (ROOT / "tests" / "deploy" / "cloud.py").read_text().split("\n", 1)[1]
        for tool in ("gcloud", "curl", "psql"):
            (tools / tool).write_text(f"#!{sys.executable} -SI\n{recorder}")
            (tools / tool).chmod(0o755)

    def deploy(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        self.log.unlink(missing_ok=True)
        known = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CLOUD_FOLDER": str(self.folder),
            "RETRY_SECONDS": "0",
        }
        if "--env-file" not in words:
            words = (*words, "--env-file", "/dev/null")
        return subprocess.run(
            ["bash", str(ROOT / "deploy.sh"), *words],
            env=known | self.settings | environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def log(self) -> Path:
        return self.folder / "calls.jsonl"

    def calls(self, tool: str = "gcloud") -> list[list[str]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [call["words"] for line in lines if (call := json.loads(line))["tool"] == tool]

    def changes(self) -> list[str]:
        """What changed something, as its plain words."""
        plain = [" ".join(w for w in words if not w.startswith("-")) for words in self.calls()]
        reading = r"\b(describe|list|access|get-value)\b"
        return [words for words in plain if not re.search(reading, words)]

    @property
    def state(self) -> dict[str, dict[str, dict[str, object]]]:
        state: dict[str, dict[str, dict[str, object]]] = json.loads(
            (self.folder / "state.json").read_text()
        )
        return state
