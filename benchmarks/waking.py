"""How long both functions take from exec to their first answer, and what they hold in memory."""

import random
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import photos
from benchmarks.measures import Row, alternated, cpu_of_children, quickest, seconds
from benchmarks.server import PLAIN, ROOT, Server, SlowStorage, as_in_the_image, serve

FUNCTIONS = ROOT / "functions"
PROCESS = FUNCTIONS / "process" / "main.py"


def cold_start(pack: Path) -> list[Row]:
    """From exec to /ready, against a plain function that builds FaceAnalysis."""
    image = {"MODEL_DIR": str(as_in_the_image(pack))}
    ours, plain = starts([(PROCESS, image), (PLAIN, {"MODEL_DIR": str(pack)})], rounds=8)
    return [
        Row("exec to /ready / a plain function that builds FaceAnalysis", ours[0] / plain[0],
            limit=0.5, detail=f"{ours[0]:.2f} s against {plain[0]:.2f} s"),
        Row("the same in CPU time", ours[1] / plain[1],
            detail=f"{ours[1]:.2f} s against {plain[1]:.2f} s"),
        Row("memory after start, process", ours[2], "MB", 700,
            detail=f"the plain function: {plain[2]:.0f} MB"),
    ]  # fmt: skip


def starts(functions: list[tuple[Path, dict[str, str]]], rounds: int) -> list[list[float]]:
    """What ``_start`` measures of each function, started in turns."""
    measured = [
        [_start(source, environ) for source, environ in functions]
        for _ in range(rounds + 1)  # the first round fills the page cache and compiles bytecode
    ][1:]
    return [
        [quickest(values) for values in zip(*runs, strict=True)]
        for runs in zip(*measured, strict=True)
    ]


def _start(source: Path, environ: dict[str, str]) -> tuple[float, float, float]:
    """Seconds and CPU seconds from exec to /ready, and megabytes then."""
    with serve("process", source, environ) as server:
        return server.ready_seconds, server.ready_cpu_seconds, server.megabytes


def cluster_start(_: Path) -> list[Row]:
    """The cluster function: exec to /health, what it has imported, and its whole import."""
    main = FUNCTIONS / "cluster" / "main.py"
    times = []
    for _round in range(4):
        with serve("cluster", main, {}, path="/health") as server:
            times.append(server.ready_seconds)
    loaded = _python(
        "import functions_framework, sys;"
        f"functions_framework.create_app('cluster', {str(main)!r});"
        "print(*[m for m in ('hdbscan', 'onnxruntime', 'cv2', 'insightface') if m in sys.modules])"
    )
    whole = (
        "import functions_framework, memoria.services.cluster, memoria.cluster, memoria.callback;"
        "import memoria.store.jobs, memoria.clustering, supabase, hdbscan"
    )
    peer = "import hdbscan, supabase"
    ours, least, framed = alternated(
        [lambda: _python(whole), lambda: _python(peer),
         lambda: _python(f"import functions_framework; {peer}")],
        6, cpu_of_children,
    )  # fmt: skip
    return [
        Row("cluster: exec to /health", statistics.median(sorted(times)[:3]), "s"),
        Row("cluster: of hdbscan, onnxruntime, cv2, insightface imported by then",
            len(loaded.split()), "", 0, detail=loaded),
        Row("cluster: whole import / import hdbscan, supabase, in CPU time", ours / least,
            limit=1.1, detail=f"{ours:.2f} s against {least:.2f} s; {framed:.2f} s "
            "with functions-framework on that side too"),
    ]  # fmt: skip


def _python(code: str) -> str:
    environ = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT / "shared"),
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SERVICE_ROLE_KEY": "key",
        "CALLBACK_URL": "off",
        "WEBHOOK_SECRET": "benchmark",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environ, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def endurance(pack: Path) -> list[Row]:
    """500 mixed photos, one after the other: does memory grow?"""
    mixed = _mixture()
    order = random.Random(0).choices([*mixed], [*_SHARES.values()], k=500)
    with SlowStorage(mixed) as storage:
        environ = {"SUPABASE_URL": storage.url, "MODEL_DIR": str(as_in_the_image(pack))}
        with serve("process", PROCESS, environ) as server:
            start = server.megabytes
            taken, half = _run(server, storage, order[:250])
            more, end = _run(server, storage, order[250:])
    detail = f"{start:.0f} MB after start, {half:.0f} MB after 250, {end:.0f} MB after 500 photos"
    return [
        Row("memory after 500 mixed photos", end, "MB", 700, detail=f"in {taken + more:.0f} s"),
        Row("growth over the second half", 100 * (end / half - 1), "%", 10, detail=detail),
    ]


def _run(server: Server, storage: SlowStorage, names: list[str]) -> tuple[float, float]:
    """Seconds, and the megabytes held afterwards."""
    urls = [f"{storage.url}/{name}" for name in names]
    return seconds(lambda: [server.process(url) for url in urls]), server.megabytes


_SHARES = {"large": 2, "crowd": 2, "cut": 4, "noise": 2, "wide": 20, "tall": 20, "small": 50}


def _mixture() -> dict[str, bytes]:
    twelve = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 3))
    made = {
        "large": photos.jpeg(photos.photo(photos.MEGAPIXELS_48, 3)),
        "crowd": photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 60, square_px=44)),
        "cut": twelve[: len(twelve) // 3],
        "noise": random.Random(1).randbytes(200_000),
        "wide": photos.jpeg(photos.photo((1920, 1080), 1)),
        "tall": photos.jpeg(photos.photo((1080, 1350), 2)),
        "small": photos.jpeg(photos.photo((1024, 768), 0)),
    }
    return {name: made[name] for name in _SHARES}
