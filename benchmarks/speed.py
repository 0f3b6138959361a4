"""One request against its floor, photos a second against insightface, requests that overlap."""

import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
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
from memoria.faces.types import PhotoFaces
from memoria.store.jobs import media_result


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
    """A direct request with its storage and its database, against decode + session.run.

    And against the same with the bare round trips that a photo takes: stand-ins in Python answer
    them, on the same two CPUs.
    """
    pack = as_in_the_image(pack)
    data = photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 3))
    engine = open_engine(pack)
    floor = floor_of(engine, data)
    options = StackOptions(
        without=frozenset({"pg_net", "cron", "cluster"}), environ={"MODEL_DIR": str(pack)}
    )
    with Stack(options) as stack:
        asker = Asker(stack, data)
        if asker.ask() != 3:
            raise RuntimeError("the request did not find the three faces")
        found = PhotoFaces(*find_faces_in_photo(engine, data), engine.model)
        trips = asker.bare_trips(media_result(found, sha256(data).hexdigest(), 0.3))

        def floor_with_trips() -> None:
            trips(floor)

        asked, least, bare = alternated([asker.ask, floor, floor_with_trips], 14, steady=STEADY)
    return [
        Row("one photo, HTTP and database included, / decode + models", asked / least, limit=1.07,
            detail=f"{asked * 1000:.0f} ms against {least * 1000:.0f} ms"),
        Row("the same / decode + models + its three round trips, bare", asked / bare,
            detail=f"{bare * 1000:.0f} ms: the stand-ins answer from the same CPUs"),
    ]  # fmt: skip


def floor_of(engine: Engine, data: bytes) -> Any:
    """Full JPEG decode and the models' own run time at the input shapes that the photo causes."""
    detector, recogniser = engine.search.detector, engine.recogniser
    recorded = [Recorded(model._session) for model in (detector, recogniser)]  # noqa: SLF001
    for model, session in zip((detector, recogniser), recorded, strict=True):
        model._session = session  # type: ignore[attr-defined]  # noqa: SLF001
    faces, *_ = find_faces_in_photo(engine, data)
    for model, session in zip((detector, recogniser), recorded, strict=True):
        model._session = session.session  # type: ignore[attr-defined]  # noqa: SLF001
    if len(faces) != 3:
        raise RuntimeError(f"{len(faces)} faces instead of 3")

    def floor() -> None:
        simplejpeg.decode_jpeg(data, "RGB")
        for session in recorded:
            session.replay()

    return floor


class Asker:
    """Has fresh photos processed: by the service, or by the barest client there can be."""

    def __init__(self, stack: Stack, data: bytes) -> None:
        client = stack.client()
        client.storage.create_bucket("photos")
        client.storage.from_("photos").upload("photo.jpg", data, {"content-type": "image/jpeg"})
        signed = client.storage.from_("photos").create_signed_url("photo.jpg", 3600)
        self._url = str(signed["signedURL"])
        bearer = {"Authorization": f"Bearer {stack.webhook_secret}"}
        self._service = httpx.Client(base_url=stack.process_url, timeout=120, headers=bearer)
        keys = {"apikey": stack.keys.secret, "Authorization": f"Bearer {stack.keys.secret}"}
        self._rpc = httpx.Client(base_url=f"{stack.supabase_url}/rest/v1/rpc", headers=keys)
        params = {"p_event_id": "e", "p_bucket": "photos", "p_path": "photo.jpg"}
        self._jobs = [
            self._call("memoria_enqueue", p_media_id=str(uuid.uuid4()), **params)
            for _ in range(31)  # as many as may be under way
        ]

    def ask(self) -> int:
        """A request to the service; returns how many faces were stored."""
        job = self._next()
        answer = self._service.post("/process", json=job | {"media_url": self._url})
        told = answer.raise_for_status().json()
        if "faces_detected" not in told:
            raise RuntimeError(f"the request was answered by {told}")
        return int(told["faces_detected"])

    def bare_trips(self, result: dict[str, Any]) -> Callable[[Callable[[], None]], None]:
        """Claim, fetch and store around some work, with a result that was found before."""

        storage = httpx.Client()

        def trips(work: Callable[[], None]) -> None:
            job = self._next()
            claim = self._call("memoria_claim", p_kind="process",
                               **{f"p_{name}": value for name, value in job.items()})  # fmt: skip
            storage.get(self._url).raise_for_status()
            work()
            proof = {"p_job_id": claim["job_id"], "p_token": claim["token"]}
            stored = self._call("memoria_complete_media", **proof, p_result=result)
            if stored["outcome"] != "stored":
                raise RuntimeError(f"not stored: {stored}")

        return trips

    def _next(self) -> dict[str, Any]:
        job = self._jobs.pop()
        return {name: job[name] for name in ("job_id", "media_id", "event_id")}

    def _call(self, function: str, **params: Any) -> dict[str, Any]:
        return dict(self._rpc.post(f"/{function}", json=params).raise_for_status().json())


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
