"""``make serve``: the whole system on this machine, on fixed ports, until Ctrl-C."""

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from PIL import Image
from rich.console import Console
from storage3.exceptions import StorageApiError
from storage3.types import FileOptions

from local.demo.event import has_event, upload_event
from local.demo.folders import find_photos
from local.demo.ports import free_first_port, ports, require_free
from local.demo.run import SAMPLE
from local.demo.sample_event import group_photo, write_sample_event
from local.demo.system import (
    System,
    describe,
    end_on_signals,
    name_event,
    running,
    state_folder,
    watch,
)
from local.demo.weights import choose_pack
from local.processes.home import POSSIBLE_PORTS, Home, HomeInUse
from local.processes.services import PortInUse, ServiceError
from memoria.config import BadConfiguration
from memoria.packs.pack import WeightsUnavailable

SELFIE = 18, 190, 240, 560  # one of the six in the group, and nobody beside her


def serve(console: Console, first_port: int | None) -> None:
    """Start everything, say where it is, wait; without a first port, on those of the last time.

    Raises BadConfiguration, HomeInUse, PortInUse, ServiceError, WeightsUnavailable.
    """
    home = Home(state_folder()).take()  # what can refuse us comes before what takes its time
    chosen = ports(first_port or home.first_port)
    require_free(chosen)
    home.keep_first_port(chosen["process"])
    pack = choose_pack(os.environ, console)
    if pack.notice:
        console.print(pack.notice, style="yellow")
    if not home.made and home.older():
        notice = f"a new database is made; one of another version of Memoria stays in {home.folder}"
        console.print(notice, style="yellow")
    with running(pack, console, home=home, ports=chosen, pages=True) as system:
        _samples(system)
        describe(system, home, console)
        watch(system.stack, console)
    console.print("stopped")


def _samples(system: System) -> None:
    """The pictures that the documentation's commands name, and an event of six people."""
    client = system.stack.client()
    with suppress(StorageApiError):  # it is there from the last time
        client.storage.create_bucket("samples", options={"public": True})
    bucket = client.storage.from_("samples")
    always: FileOptions = {"upsert": "true"}
    with tempfile.TemporaryDirectory() as folder, Image.open(group_photo()) as group:
        group.crop(SELFIE).save(Path(folder) / "selfie.jpg", quality=92)
        bucket.upload("group.jpg", group_photo().read_bytes(), always)
        bucket.upload("selfie.jpg", (Path(folder) / "selfie.jpg").read_bytes(), always)
        if not has_event(client, SAMPLE):
            write_sample_event(Path(folder) / "event")
            photos = find_photos(Path(folder) / "event")
            upload_event(client, SAMPLE, photos, lambda: None, owner_id=system.host_id)
            name_event(system, SAMPLE, "Sample event")


def _first_port(text: str) -> int | None:
    """None where it is not said. Raises ValueError where five ports do not follow."""
    if text and not (text.isdecimal() and int(text) in POSSIBLE_PORTS):
        raise ValueError("FIRST_PORT: a number from 1024 to 65530")
    return int(text) if text else None


def main() -> int:
    """The command line."""
    console = Console(highlight=False)
    end_on_signals()
    try:
        serve(console, _first_port(os.environ.get("FIRST_PORT", "")))
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except PortInUse as exc:
        others = f"make serve FIRST_PORT={free_first_port()}"
        console.print(f"{exc} End that, or choose five others: {others}", style="red")
        return 1
    except ValueError as exc:
        console.print(str(exc), style="red", markup=False)
        return 1
    except HomeInUse as exc:
        console.print(f"{exc}: end it first, or set MEMORIA_STATE", style="red", markup=False)
        return 1
    except (BadConfiguration, ServiceError, WeightsUnavailable) as exc:
        console.print(str(exc), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
