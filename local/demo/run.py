"""``make demo``: a folder of photos in, ``people.json`` and a gallery out, by the whole system."""

import argparse
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from local.demo.event import (
    Json,
    Photos,
    event_status,
    fetch_added,
    media_of,
    read_event,
    upload_event,
)
from local.demo.folders import FolderError, answer_folder, kept_for_this_run, look_into
from local.demo.ports import free_ports, ports
from local.demo.report import left_out, show, show_search
from local.demo.search import search_for
from local.demo.stages import say
from local.demo.system import (
    System,
    check_services,
    describe,
    end_on_signals,
    limits,
    name_event,
    running,
    state_folder,
    taken_home,
    watch,
)
from local.demo.weights import PackChoice, choose_pack
from local.processes.home import FIRST_PORT
from local.processes.services import ServiceError
from memoria.cli.terminal import plain
from memoria.config import BadConfiguration
from memoria.packs.pack import WeightsUnavailable

POLL_SECONDS = 0.2
SAMPLE = "sample"  # the event of the photos that are made


def run(
    photos: Mapping[str, Path],
    event_id: str,
    out: Path,
    pack: PackChoice,
    console: Console,
    *,
    title: str = "Sample event",
) -> Json:
    """Find the people of these photos, write the answer to ``out``, serve it to who looks on.

    ``title`` is what the app calls the event. Returns ``people.json``.
    """
    served = sys.stdin.isatty() and console.is_terminal and os.environ.get("APP") != "no"
    home = taken_home(out, console)
    chosen = free_ports(ports(home.first_port if home else FIRST_PORT)) if served else {}
    with (
        running(pack, console, home=home, ports=chosen, pages=served) as system,
        kept_for_this_run(system.stack.folder / "added") as folder,
    ):
        started = time.monotonic()
        answer, added = _find_people(system, event_id, photos, folder, console)
        name_event(system, event_id, title)
        seconds = time.monotonic() - started
        photos = {**photos, **added}
        searched = search_for(answer, photos, system.stack)
        (out / "people.json").write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")
        _write_page(answer, photos, out / "index.html", seconds, console)
        show(answer, out, console)
        show_search(searched, console)
        if served:
            describe(system, home, console)
            watch(system.stack, console)
    return answer


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def _write_page(
    answer: Json, photos: Mapping[str, Path], page: Path, seconds: float, console: Console
) -> None:
    from local.demo.gallery import write_gallery

    say("writing the gallery", console)
    with _progress(console) as progress:
        task = progress.add_task("gallery", total=len(answer["photos"]))
        write_gallery(
            answer,
            photos,
            page,
            seconds=seconds,
            least=limits(os.environ).min_cluster_size,
            advance=lambda: progress.advance(task),
        )


def _find_people(
    system: System, event_id: str, photos: Mapping[str, Path], added: Path, console: Console
) -> tuple[Json, Photos]:
    """``people.json``, and the photos that the app added, copied into the folder ``added``."""
    client = system.stack.client()
    say(f"looking at {len(photos)} photos", console)
    with _progress(console) as progress:
        upload = progress.add_task("uploaded", total=len(photos))
        process = progress.add_task("processed", total=None)
        names = upload_event(
            client, event_id, photos, lambda: progress.advance(upload), system.host_id
        )
        status = event_status(client, event_id)
        while not status["done"]:
            _advance(progress, process, status)
            check_services(system.stack)
            time.sleep(POLL_SECONDS)
            status = event_status(client, event_id)
        _advance(progress, process, status)
    media = media_of(client, event_id)  # once: the app is served, and may add another photo
    copies = fetch_added(client, media, names, added)
    return read_event(client, event_id, media, names), copies


def _advance(progress: Progress, task: TaskID, status: Json) -> None:
    """Of all the event's photos, those too that were added by the app."""
    photos = status["photos"]
    progress.update(task, total=photos["total"], completed=photos["total"] - photos["pending"])


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    home = os.path.expanduser  # make's PHOTOS='~/Pictures' comes as it is
    parser.add_argument(
        "--photos", default="", type=home, help="a folder; without it, a sample event is made"
    )
    parser.add_argument("--out", default="", type=home, help="where the answer goes (out)")
    args = parser.parse_args(argv)
    console = Console(highlight=False)
    end_on_signals()
    try:
        if (app := os.environ.get("APP", "")) not in ("", "no"):
            raise BadConfiguration(f"APP: no, or nothing, not {plain(app)}. APP=no serves no app.")
        with tempfile.TemporaryDirectory(prefix="memoria-sample-") as sample:
            photos = _photos(args.photos, Path(sample), console)
            out = answer_folder(args.out or "out", photos, state_folder())
            pack = choose_pack(os.environ, console)
            if pack.notice:
                console.print(pack.notice, style="yellow")
            title = Path(args.photos).resolve().name if args.photos else "Sample event"
            run(photos, _event_of(args.photos), out, pack, console, title=title)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except (BadConfiguration, FolderError, ServiceError, WeightsUnavailable) as exc:
        console.print(str(exc), style="red", markup=False)
        return 1
    return 0


def _event_of(folder: str) -> str:
    """The same event for the same folder every time, so that names stay."""
    return (
        str(uuid.uuid5(uuid.NAMESPACE_URL, Path(folder).resolve().as_uri())) if folder else SAMPLE
    )


def _photos(folder: str, sample: Path, console: Console) -> Mapping[str, Path]:
    if not folder:
        from local.demo.sample_event import write_sample_event

        say("making a sample event", console)
        write_sample_event(sample)
        return look_into(sample).photos
    if not Path(folder).is_dir():
        raise FolderError(f"PHOTOS: there is no folder {plain(folder)}.")
    found = look_into(Path(folder), limits(os.environ).max_media_bytes)
    left_out(found, console)
    if not found.photos:
        raise FolderError(f"There are no photos in {plain(folder)}.")
    return found.photos
