"""Images built and run for real, without Docker: buildah, podman and runc on a base made here.

There is no image registry in reach of a test, so the base is made of Debian packages: it proves
the Dockerfiles' steps, not the official image under them.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).parents[2]
BASE = "localhost/memoria-python:3.11"
TOOLS = ("buildah", "podman", "runc", "debootstrap")
_MEMORY, _ENOUGH_BYTES = Path("/dev/shm"), 3 << 30
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# Default limits of a container are over what a sandboxed machine may grant.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")


def missing() -> str:
    """What this machine lacks for building and running images; empty: nothing."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt-get install {' '.join(TOOLS)})"
    return "" if os.geteuid() == 0 else "images are built and run as root here"


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def exists(image: str) -> bool:
    return subprocess.run(["podman", "image", "exists", image], check=False).returncode == 0


def make_base() -> None:
    """A slim Debian with a Python, as python:3.11-slim-bookworm is one; podman keeps it."""
    if exists(BASE):
        return
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        root = Path(folder) / "rootfs"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root))
        _fit(root)
        container = run("buildah", "from", "scratch").strip()
        run("buildah", "add", "--quiet", container, str(root), "/")
    run("buildah", "config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
    run("buildah", "commit", "--quiet", "--rm", container, BASE)


def _scratch() -> Path | None:
    """Memory, where a system may be made in it: dpkg waits for a disk after every file."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ENOUGH_BYTES:
        return None
    return None if os.statvfs(_MEMORY).f_flag & (os.ST_NODEV | os.ST_NOEXEC) else _MEMORY


def _fit(root: Path) -> None:
    """What the image of Python has otherwise than Debian."""
    python = root / "usr" / "local" / "bin" / "python"
    python.unlink(missing_ok=True)
    python.symlink_to("../../bin/python3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    # The build must trust whom this machine trusts, and install from where it does.
    for name in ("ssl/certs/ca-certificates.crt", "pip.conf"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), root / "etc" / name)


def build(service: str, *options: str, tag: str = "test") -> str:
    """Build the image of a service from its Dockerfile. Returns its name."""
    image = f"localhost/memoria-{service}:{tag}"
    file = str(ROOT / "functions" / service / "Dockerfile")
    base = ("--build-arg", f"PYTHON_IMAGE={BASE}", "--pull=never", "--isolation", "chroot")
    run(
        "buildah",
        "bud",
        "--layers",
        "--force-rm",
        *base,
        *options,
        "--file",
        file,
        "--tag",
        image,
        str(ROOT),
    )
    return image


def megabytes(image: str) -> int:
    """The size of an image without its base."""
    sizes = [
        int(json.loads(run("podman", "image", "inspect", name))[0]["Size"])
        for name in (image, BASE)
    ]
    return (sizes[0] - sizes[1]) // 1_000_000


@dataclass
class Container:
    """One running container: as on Cloud Run, two CPUs, two GiB, nothing to write to but memory."""

    image: str
    port: int
    environ: Mapping[str, str]
    mounts: Mapping[Path, str] | None = None

    def __enter__(self) -> Self:
        environ = {"PORT": str(self.port), **self.environ}
        given = [part for item in environ.items() for part in ("--env", "=".join(item))]
        for source, target in (self.mounts or {}).items():
            given += ["--volume", f"{source}:{target}:ro"]
        confined = ("--read-only", "--memory", "2g", "--cpus", "2", "--cap-drop", "all")
        options = ("--detach", "--network", "host", *LIMITS, *confined, *given)
        self.id = run("podman", "--runtime", "runc", "run", *options, self.image).split()[-1]
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            error.add_note(self.logs()[-4000:])
        # it may end by itself just before it is killed: that is an error to podman, and no harm
        run("podman", "rm", "--force", "--time", "2", self.id, check=False)
        run("podman", "rm", "--force", "--ignore", self.id)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(run("podman", "inspect", self.id))[0]["State"]
        return state

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after Cloud Run's ten seconds."""
        run("podman", "stop", "--time", "10", self.id)

    def logs(self) -> str:
        return run("podman", "logs", self.id, check=False)

    def execute(self, *command: str, check: bool = True) -> str:
        return run("podman", "--runtime", "runc", "exec", self.id, *command, check=check)

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait for /ready, as Cloud Run's start-up probe does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.state["Running"]:
            try:
                if httpx.get(f"{self.url}/ready", timeout=30, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"not ready:\n{self.logs()[-4000:]}")
