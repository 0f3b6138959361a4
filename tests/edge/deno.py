"""Starts ``supabase/functions/ml-callback`` under Deno, as ``supabase functions serve`` would."""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FUNCTION = REPOSITORY / "supabase" / "functions" / "ml-callback"
HANDLER = Path(__file__).with_name("handler.ts")
_LISTENING = re.compile(r"Listening on (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class EdgeFunction:
    url: str
    log: Path


def command(deno: Path, *options: str) -> list[str]:
    allowed = ["--no-remote", "--allow-net", "--allow-env"]
    return [str(deno), "run", *allowed, *options, str(FUNCTION / "index.ts")]


@contextmanager
def run_edge_function(
    deno: Path, environ: Mapping[str, str], handler: Path | None = None
) -> Iterator[EdgeFunction]:
    """Serves on a free loopback port until the block ends, with its own handler or another."""
    quiet = {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0"}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as output:
        swapped = {(FUNCTION / "handler.ts").as_uri(): handler.as_uri()} if handler else {}
        imports = Path(folder) / "imports.json"
        imports.write_text(json.dumps({"imports": swapped}))
        started = command(deno, f"--import-map={imports}")
        process = subprocess.Popen(
            started, env={**environ, **quiet}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            log = Path(folder) / "log"
            yield EdgeFunction(_listening_url(process, log), log)
        finally:
            process.terminate()
            process.wait(10)


def _listening_url(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if found := _LISTENING.search(output.read_text()):
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(f"the Edge Function did not start: {output.read_text()[-500:]}")
