"""One request against its floor, photos a second against insightface, requests that overlap."""

import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import simplejpeg

from benchmarks import photos
from benchmarks.measures import STEADY, Row, alternated, quickest, seconds
from benchmarks.server import ROOT, Server, SlowStorage, as_in_the_image, peak_of, serve
from benchmarks.uniface_peer import open_uniface
from local.processes.stack import Stack, StackOptions
from memoria.faces import Engine, find_faces_in_photo, open_engine


class Recorded:
    """A session that remembers the inputs it was run with."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.inputs: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, names: Any, inputs: dict[str, Any]) -> Any:
        self.inputs.append(inputs)
        return self.session.run(names, inputs)

    def replay(self) -> None:
        for inputs in self.inputs:
            self.session.run(None, inputs)


def request(pack: Path) -> list[Row]:
    """A direct request with its storage and its database, against decode + session.run."""
    pack = as_in_the_image(pack)
    data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 3))
    engine = open_engine(pack)
    floor = floor_of(engine, data)
    options = StackOptions(
        without=frozenset({"pg_net", "cron", "cluster"}), environ={"MODEL_DIR": str(pack)}
    )
    with Stack(options) as stack:
        ask = _asker(stack, data)
        if ask() != 3:
            raise RuntimeError("the request did not find the three faces")
        asked, least = alternated([ask, floor], 15, steady=STEADY)
    detail = f"{asked * 1000:.0f} ms against {least * 1000:.0f} ms"
    return [Row("one photo, HTTP and database included, / decode + models", asked / least,
                limit=1.07, detail=detail)]  # fmt: skip


def floor_of(engine: Engine, data: bytes) -> Any:
    """Full JPEG decode and the models' own run time at the input shapes that the photo causes."""
    detector, recogniser = engine.search.detector, engine.recogniser
    recorded = [Recorded(model._session) for model in (detector, recogniser)]  # noqa: SLF001
    for model, session in zip((detector, recogniser), recorded, strict=True):
        model._session = session  # type: ignore[attr-defined]  # noqa: SLF001
    faces, *_ = find_faces_in_photo(engine, data)
    if len(faces) != 3:
        raise RuntimeError(f"{len(faces)} faces instead of 3")

    def floor() -> None:
        simplejpeg.decode_jpeg(data, "RGB")
        for session in recorded:
            session.replay()

    return floor


def _asker(stack: Stack, data: bytes) -> Any:
    """A call that has a fresh photo processed; returns how many faces were stored."""
    client = stack.client()
    client.storage.create_bucket("photos")
    client.storage.from_("photos").upload("photo.jpg", data, {"content-type": "image/jpeg"})
    url = client.storage.from_("photos").create_signed_url("photo.jpg", 3600)["signedURL"]
    http = httpx.Client(timeout=120, headers={"Authorization": f"Bearer {stack.webhook_secret}"})
    jobs: list[dict[str, Any]] = []
    for _ in range(20):
        params = {"p_event_id": "e", "p_bucket": "photos", "p_path": "photo.jpg"}
        done = client.rpc("memoria_enqueue", {"p_media_id": str(uuid.uuid4()), **params}).execute()
        jobs.append(dict(done.data))  # type: ignore[arg-type]

    def ask() -> int:
        job = jobs.pop()
        body = {key: job[key] for key in ("job_id", "media_id", "event_id")} | {"media_url": url}
        answer = http.post(f"{stack.process_url}/process", json=body).raise_for_status().json()
        return int(answer["faces_detected"])

    return ask


def throughput(pack: Path) -> list[Row]:
    """find_faces against FaceAnalysis.get on the same decoded photos, then both from bytes."""
    reference, engine = face_analysis(pack), open_engine(as_in_the_image(pack))
    uniface = open_uniface(pack)
    rows = []
    for count, limit in ((1, 1.2), (3, 1.12), (20, None)):
        image = photos.photo(photos.MEGAPIXELS_12, count)
        bgr, data = np.ascontiguousarray(image[..., ::-1]), photos.jpeg(image)
        ours, theirs = len(engine.find_faces(image)), len(reference.get(bgr))
        if len(uniface(bgr)) != theirs:
            raise RuntimeError("uniface does not find what FaceAnalysis finds")
        rounds = 12 if count <= 3 else 8
        times = alternated(
            [
                lambda image=image: engine.find_faces(image),  # type: ignore[misc]
                lambda bgr=bgr: reference.get(bgr),  # type: ignore[misc]
                lambda data=data: find_faces_in_photo(engine, data),  # type: ignore[misc]
                lambda data=data: find_as_insightface(reference, data),  # type: ignore[misc]
                lambda data=data: _as_immich(reference, data),  # type: ignore[misc]
                lambda data=data: uniface(cv2.imdecode(_bytes(data), cv2.IMREAD_COLOR)),  # type: ignore[misc]
            ],
            rounds,
            steady=STEADY,
        )
        found = f"{ours} faces found, {theirs} by FaceAnalysis"
        detail = f"{1 / times[0]:.2f} a second against {1 / times[1]:.2f}; {found}"
        bytes_detail = f"{1 / times[2]:.2f} a second against {1 / times[3]:.2f}"
        rows += [
            Row(f"photos a second / FaceAnalysis.get, {count} faces", times[1] / times[0],
                limit=limit, at_most=False, detail=detail),
            Row(f"the same from JPEG bytes, {count} faces", times[3] / times[2],
                detail=bytes_detail),
            Row(f"the same / Immich's path rebuilt, {count} faces", times[4] / times[2],
                detail=f"{1 / times[2]:.2f} a second against {1 / times[4]:.2f}"),
            Row(f"the same / uniface, {count} faces", times[5] / times[2],
                detail=f"{1 / times[2]:.2f} a second against {1 / times[5]:.2f}"),
        ]  # fmt: skip
        if ours < theirs:
            raise RuntimeError(found)
    return rows


def find_as_insightface(reference: Any, data: bytes) -> Any:
    """What FaceAnalysis finds in a photo's bytes."""
    return reference.get(cv2.imdecode(_bytes(data), cv2.IMREAD_COLOR))


def _as_immich(reference: Any, data: bytes) -> Any:
    """As Immich's machine learning does it: decode, detect at 640 × 640, one batch of all faces."""
    from insightface.utils.face_align import norm_crop

    bgr = cv2.imdecode(_bytes(data), cv2.IMREAD_COLOR)
    detector, recogniser = (reference.models[name] for name in ("detection", "recognition"))
    _, landmarks = detector.detect(bgr)
    return recogniser.get_feat([norm_crop(bgr, points) for points in landmarks])


def _bytes(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)


def face_analysis(pack: Path) -> Any:
    """insightface's own, at its cheapest: one 640 × 640 pass instead of its default two."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    from insightface.app import FaceAnalysis

    allowed = ["detection", "recognition"]
    reference = FaceAnalysis(str(pack), allowed_modules=allowed, providers=["CPUExecutionProvider"])
    reference.prepare(ctx_id=-1, det_size=(640, 640))
    return reference


def concurrency(pack: Path) -> list[Row]:
    """Four requests at once against one after the other, storage with 200 ms latency."""
    data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 1))
    source = ROOT / "functions" / "process" / "main.py"
    with SlowStorage({"photo.jpg": data}, delay_seconds=0.2) as storage:
        environ = {"SUPABASE_URL": storage.url, "MODEL_DIR": str(as_in_the_image(pack))}
        with serve("process", source, environ) as server:
            _photos_at_once(server, storage, 2)
            alone = [_photos_at_once(server, storage, 1)]
            together = []
            for _ in range(4):  # in turns; memory that four have grown is not counted for one
                together.append(_photos_at_once(server, storage, 4))
                alone.append(_photos_at_once(server, storage, 1))
    one, four = (quickest(run.seconds for run in runs) for runs in (alone, together))
    cpu = [min(run.cpu_seconds for run in runs) for runs in (alone, together)]
    detail = (
        f"{1 / four:.2f} photos a second against {1 / one:.2f}; "
        f"{cpu[1]:.2f} CPU seconds a photo against {cpu[0]:.2f}"
    )
    before, peak = alone[0].megabytes, max(run.megabytes for run in together)
    return [
        Row("throughput, 4 requests at once / 1", one / four, limit=1.25, at_most=False,
            detail=detail),
        Row("more memory for it", peak - before, "MB", 150,
            detail=f"{peak:.0f} against {before:.0f} MB"),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """What a photo took on average, and the most memory the server held meanwhile."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def _photos_at_once(server: Server, storage: SlowStorage, workers: int, count: int = 8) -> Run:
    url, before = f"{storage.url}/photo.jpg", server.cpu_seconds
    answers: list[dict[str, object]] = []
    with peak_of(server) as peak, ThreadPoolExecutor(workers) as pool:
        taken = seconds(
            lambda: answers.extend(pool.map(lambda i: server.process(url, str(i)), range(count)))
        )
        run = Run(taken / count, (server.cpu_seconds - before) / count, peak())
    if any(answer["faces_detected"] != 1 for answer in answers):
        raise RuntimeError("a photo lost its face")
    return run
