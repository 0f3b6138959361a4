"""``make serve``: the whole system on this machine, on fixed ports, until Ctrl-C."""

import os
import signal
import sys
import time

from rich.console import Console

from local.demo.run import SETTINGS, SWEEP_SECONDS, end
from local.demo.sample_event import group_photo
from local.demo.weights import choose_pack
from local.processes.services import ServiceError
from local.processes.stack import Stack, StackOptions
from memoria.packs.pack import WeightsUnavailable

PORTS = {"process": 8081, "cluster": 8082, "gateway": 8083}
WEBHOOK_SECRET = "local-webhook-secret"


def serve(console: Console) -> None:
    """Start everything, say where it is, wait. Raises ServiceError, WeightsUnavailable."""
    pack = choose_pack(os.environ, console)
    if pack.notice:
        console.print(pack.notice, style="yellow")
    options = StackOptions(
        environ={**pack.environ, "SEARCH": "on", "SEARCH_ORIGINS": "*"},
        settings=SETTINGS,
        sweep_seconds=SWEEP_SECONDS,
        ports=PORTS,
    )
    stack = Stack(options)
    stack.webhook_secret = WEBHOOK_SECRET
    with stack:
        client = stack.client()
        client.storage.create_bucket("samples", options={"public": True})
        client.storage.from_("samples").upload("group.jpg", group_photo().read_bytes())
        sample = {"p_bucket": "samples", "p_path": "group.jpg", "p_event_id": "sample"}
        client.rpc("memoria_enqueue", sample | {"p_media_id": "group.jpg"}).execute()
        describe(stack, console)
        while True:
            time.sleep(3600)


def describe(stack: Stack, console: Console) -> None:
    """Where everything is."""
    places = {
        "process": stack.process_url,
        "cluster": stack.cluster_url,
        "webhook secret": stack.webhook_secret,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SERVICE_ROLE_KEY": stack.keys.secret,
        "database": stack.database_url,
        "logs": str(stack.folder),
    }
    for name, value in places.items():
        console.print(f"{name:<26}{value}", soft_wrap=True)
    console.print("Ctrl-C ends it", style="dim")


def main() -> int:
    """The command line."""
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, end)
    try:
        serve(console)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except (ServiceError, WeightsUnavailable) as exc:
        console.print(str(exc), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
