"""*cluster* wired: no onnxruntime, no OpenCV, hdbscan on first use."""

import threading
from functools import partial
from typing import TYPE_CHECKING

from memoria import log
from memoria.config import Settings
from memoria.contracts import ClusterRequest, Json
from memoria.http import Service
from memoria.lazy import Lazy

if TYPE_CHECKING:
    from memoria.cluster import ClusterPipeline


def cluster_service(settings: Settings) -> Service:
    """The service of events."""
    log.configure(settings.log_level)
    pipeline = Lazy(lambda: _cluster_pipeline(settings))
    warm = Lazy(_group_a_few)

    def ready() -> Json:
        pipeline()
        # What the first run would wait for is imported right after the answer, not before it.
        threading.Thread(target=warm, daemon=True).start()
        return {}

    return Service(
        name="cluster",
        secrets=settings.webhook_secrets,
        direct=ClusterRequest,
        kinds=frozenset({"cluster", "callback"}),
        run=lambda request: pipeline().run(request),
        ready=ready,
        health=lambda: {"model_loaded": True, "gpu_available": False},
    )


def _cluster_pipeline(settings: Settings) -> "ClusterPipeline":
    from memoria.callback import Callback
    from memoria.capacity import Capacity, Instance
    from memoria.cluster import ClusterPipeline
    from memoria.container import cpu_quota, cpu_threads, memory_bytes
    from memoria.job import JobRunner
    from memoria.people.regroup import regroup
    from memoria.people.suggestions import suggestions
    from memoria.store.client import open_client
    from memoria.store.jobs import JobStore
    from memoria.store.people import count_faces, load_event, save_people
    from memoria.store.sweeper import Sweeper

    client = open_client(settings)
    jobs = JobStore(client)
    has = Instance(memory_bytes(), cpu_quota() or cpu_threads())
    capacity = Capacity(has, settings.cluster_max_faces)
    log.event("capacity", faces=capacity.in_memory, memory_bytes=has.memory_bytes, cpus=has.cpus)
    return ClusterPipeline(
        runner=JobRunner(jobs, Callback(jobs, settings), Sweeper(client)),
        count=partial(count_faces, client),
        capacity=capacity,
        load=partial(load_event, client),
        regroup=partial(
            regroup,
            min_cluster_size=settings.min_cluster_size,
            min_samples=settings.min_samples,
            epsilon=settings.cluster_epsilon,
            similarities=settings.similarity_thresholds,
        ),
        suggest=partial(suggestions, similarities=settings.similarity_thresholds),
        save=partial(save_people, client),
    )


def _group_a_few() -> None:
    """What grouping takes is imported at its first use, for seconds: let nobody's event wait."""
    import numpy as np

    from memoria.clustering import group_faces

    people = np.eye(4, 512).repeat(3, axis=0)
    faces = people + np.random.default_rng(0).normal(0, 0.01, people.shape)
    group_faces((faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32))
