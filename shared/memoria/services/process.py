"""*process* wired, and *search* beside it. Nothing heavy is imported before the first request."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from memoria import log
from memoria.config import Settings
from memoria.contracts import Json, ProcessRequest
from memoria.errors import EngineUnavailable
from memoria.http import Service
from memoria.lazy import Lazy
from memoria.packs.folder import pack_name

if TYPE_CHECKING:
    from memoria.arrays import F32
    from memoria.faces.types import FaceEngine, PhotoFaces
    from memoria.media.children import Decoders
    from memoria.media.source import MediaSource
    from memoria.process import ProcessPipeline
    from memoria.search.routes import SearchRoutes
    from memoria.search.run import SearchPipeline

OpenEngine = Callable[[Settings], "FaceEngine"]


def process_service(settings: Settings, open_engine: OpenEngine | None = None) -> Service:
    """The service of photos; ``open_engine`` takes the place of the model pack."""
    log.configure(settings.log_level)
    build = open_engine or _open_pack
    engine = Lazy(lambda: build(settings))
    decoders = Lazy(lambda: _start_decoders(settings))
    pipeline = Lazy(lambda: _process_pipeline(settings, engine, decoders))
    searches = Lazy(lambda: _search_pipeline(settings, engine, decoders))
    served: dict[str, list[Lazy[Any]]] = {
        "off": [pipeline], "on": [pipeline, searches], "only": [searches],
    }  # fmt: skip

    def health() -> Json:
        name = engine().model if engine.built else pack_name(settings.model_dir)
        return {
            "model": name,
            "model_loaded": engine.built,
            "gpu_available": _gpu_available(settings),
            "inference": _serving(settings),
        }

    def ready() -> Json:
        threading.Thread(target=decoders, daemon=True).start()  # they import while weights load
        model = engine().model
        # What else a request needs is imported right after the answer, not before it.
        for one in served[settings.search]:
            threading.Thread(target=one, daemon=True).start()
        return {"model": model, "model_loaded": True}

    return Service(
        name="process",
        secrets=settings.webhook_secrets,
        direct=ProcessRequest,
        kinds=frozenset({"process", "callback"}),
        run=lambda request: pipeline().run(request),
        ready=ready,
        health=health,
        search=_search_routes(settings, searches),
        only_search=settings.search == "only",
    )


def _search_routes(settings: Settings, searches: "Lazy[SearchPipeline]") -> "SearchRoutes | None":
    if settings.search == "off":
        return None
    from memoria.search.routes import SearchRoutes

    return SearchRoutes(settings.webhook_secrets, settings.search_origins, searches)


def _open_pack(settings: Settings) -> "FaceEngine":
    from memoria.faces import open_engine
    from memoria.packs.pack import WeightsUnavailable

    try:
        return open_engine(
            settings.model_dir,
            det_size=settings.det_size,
            small_faces=settings.small_faces,
            threshold=settings.detection_threshold,
            max_faces=settings.max_faces_per_photo,
            use_gpu=settings.use_gpu,
            inference=settings.inference,
        )
    except WeightsUnavailable as error:
        # before any claim: a missing pack costs no job an attempt, and fails the start-up probe
        log.failure("weights_unavailable")
        raise EngineUnavailable("the model pack cannot be loaded: the log says why") from error


def _start_decoders(settings: Settings) -> "Decoders":
    from memoria.media.children import Decoders

    return Decoders(wait_seconds=settings.max_run_seconds)


def _media_source(settings: Settings) -> "MediaSource":
    from memoria.media.hosts import AllowedHosts
    from memoria.media.source import MediaSource

    return MediaSource(
        allowed=AllowedHosts(settings.supabase_url, settings.media_url_hosts),
        max_bytes=settings.max_media_bytes,
        timeout_seconds=settings.fetch_timeout_seconds,
    )


def _process_pipeline(
    settings: Settings, engine: "Lazy[FaceEngine]", decoders: "Lazy[Decoders]"
) -> "ProcessPipeline":
    # Weights load without the interpreter's lock: what is imported meanwhile costs no time.
    threads = ThreadPoolExecutor(2)
    starting, loading = threads.submit(decoders), threads.submit(engine)
    from memoria.callback import Callback
    from memoria.job import JobRunner
    from memoria.media.gcs import fetch_object as fetch_from_gcs
    from memoria.process import ProcessPipeline
    from memoria.store.client import open_client
    from memoria.store.jobs import JobStore
    from memoria.store.signed_urls import sign_url
    from memoria.store.sweeper import Sweeper

    client = open_client(settings)
    jobs = JobStore(client, settings.max_run_seconds)
    max_bytes, timeout_seconds = settings.max_media_bytes, settings.fetch_timeout_seconds
    source = _media_source(settings)

    def fetch_object(bucket: str, path: str) -> bytes:
        if bucket.startswith("gs://"):
            name = bucket.removeprefix("gs://")
            return fetch_from_gcs(name, path, max_bytes=max_bytes, timeout_seconds=timeout_seconds)
        return source.fetch(sign_url(client, bucket, path, settings.signed_url_seconds))

    return ProcessPipeline(
        runner=JobRunner(jobs, Callback(jobs, settings), Sweeper(client)),
        fetch_url=source.fetch,
        fetch_object=fetch_object,
        find_faces=_find_faces(settings, loading.result(), starting.result()),
        save=jobs.complete_media,
    )


def _search_pipeline(
    settings: Settings, engine: "Lazy[FaceEngine]", decoders: "Lazy[Decoders]"
) -> "SearchPipeline":
    from memoria.clustering.thresholds import thresholds_for
    from memoria.search.database import SearchStore
    from memoria.search.photo_urls import PhotoUrls
    from memoria.search.rules import rule_for
    from memoria.search.run import SearchPipeline
    from memoria.store.client import open_client

    client = open_client(settings)
    model = engine().model
    return SearchPipeline(
        store=SearchStore(client),
        find_faces=_find_faces(settings, engine(), decoders()),
        fetch_url=_media_source(settings).fetch,
        sign_urls=PhotoUrls(client, settings.search_url_seconds),
        rule=rule_for(model, settings),
        least=thresholds_for(model, settings.similarity_thresholds).silent,
        model=model,
    )


def _find_faces(
    settings: Settings, engine: "FaceEngine", decoders: "Decoders"
) -> Callable[..., "PhotoFaces"]:
    """Of the bytes of a photo, and of the boxes that users drew, by face id."""
    from memoria.faces.types import PhotoFaces

    def find_faces(data: bytes, drawn: Mapping[str, "F32"] | None = None) -> PhotoFaces:
        boxes = drawn or {}
        with decoders.opened(data, settings.max_media_pixels) as photo:
            faces, read = engine.find_faces_in(photo, list(boxes.values()))
            found = dict(zip(boxes, read, strict=True))
            return PhotoFaces(faces, *photo.size, engine.model, found)

    return find_faces


def _gpu_available(settings: Settings) -> bool:
    if not settings.use_gpu:
        return False
    from memoria.packs.session import gpu_available

    return gpu_available()


def _serving(settings: Settings) -> str:
    from memoria.packs.inference import serving

    return serving(settings.inference)
