"""Which engine the demo runs with: a pack of your own, the fetched one, or dlib's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from memoria.packs.weights import WeightsUnavailable, find_or_fetch, locate

ROOT = Path(__file__).parents[2]
DEFAULT_PACK = "buffalo_l"
DLIB_SOURCE = Path(__file__).parent / "dlib_process" / "main.py"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """How *process* is started, and with which environment for both functions."""

    environ: Mapping[str, str]
    process_source: Path = ROOT / "functions" / "process" / "main.py"
    notice: str = field(default="")  # one sentence, where it is not what was hoped for


def choose_engine(environ: Mapping[str, str], console: Console) -> EngineChoice:
    """MODEL_DIR where it is set; else MODEL_PACK, fetched once; else the dlib engine.

    Raises WeightsUnavailable where MODEL_DIR holds no pack.
    """
    pack = environ.get("MODEL_PACK") or DEFAULT_PACK
    if environ.get("MODEL_DIR"):
        folder = Path(environ["MODEL_DIR"]).resolve()
        locate(folder, folder.name)
        return EngineChoice({"MODEL_DIR": str(folder)})
    try:
        folder = _fetched(pack, _cache() / pack, console)
    except WeightsUnavailable as exc:
        return dlib_engine(f"{pack} cannot be had ({exc}): dlib's weights are used instead.")
    return EngineChoice({"MODEL_DIR": str(folder), "MODEL_PACK": pack})


def dlib_engine(notice: str = "") -> EngineChoice:
    """The engine of ``local/demo/dlib_engine.py``."""
    from local.demo.dlib_engine import weights_folder

    return EngineChoice({"MODEL_DIR": str(weights_folder())}, DLIB_SOURCE, notice)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "memoria" / "models"


def _fetched(pack: str, folder: Path, console: Console) -> Path:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(f"fetching {pack}", total=None, visible=False)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None, visible=True)

        return find_or_fetch(pack, folder, progress=show)
