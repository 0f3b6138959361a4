"""An event's faces, of one model or two, become people."""

import numpy as np

from memoria.people.regroup import regroup
from memoria.people.types import EventFaces, KnownPeople, PeopleResult


def event(*models: str) -> EventFaces:
    """Two people of four photos each, 0.6 alike, once for each model."""
    rng = np.random.default_rng(0)
    vectors = []
    for _ in models:
        centres = np.repeat(rng.normal(size=(2, 512)), 4, axis=0)
        noise = rng.normal(size=(8, 512)) * np.sqrt(0.4 / 0.6)
        rows = centres + noise
        vectors.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    count = 8 * len(models)
    return EventFaces(
        ids=np.frombuffer(rng.bytes(16 * count), np.uint8).reshape(count, 16),
        photos=np.arange(count),
        identities=np.zeros((count, 16), np.uint8),
        quality=np.ones(count, np.float32),
        models=models,
        model_index=np.repeat(np.arange(len(models), dtype=np.uint8), 8),
        vectors=np.concatenate(vectors).astype(np.float32),
    )


def people(*models: str, similarities: dict[str, tuple[float, float]] | None = None) -> list[int]:
    result: PeopleResult = regroup(
        event(*models),
        KnownPeople(),
        event_id="party",
        min_cluster_size=3,
        min_samples=2,
        epsilon=0.4,
        similarities=similarities or {},
    )
    return sorted(len(group.rows) for group in result.groups)


def test_faces_of_two_models_are_never_one_person() -> None:
    assert people("one") == [4, 4]
    assert people("one", "two") == [4, 4, 4, 4]


def test_thresholds_that_were_measured_hold_for_their_model_alone() -> None:
    assert people("one", "two", similarities={"one": (0.9, 0.9)}) == [4, 4]
