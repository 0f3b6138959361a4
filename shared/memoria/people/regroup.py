"""The faces of an event -> its people: each model's faces are grouped apart, then matched."""

import numpy as np

from memoria.arrays import Index
from memoria.clustering.grouping import group_faces
from memoria.clustering.thresholds import NONE_MEASURED, Measured, thresholds_for
from memoria.people.resolve import resolve_people
from memoria.people.types import EventFaces, KnownPeople, PeopleResult


def regroup(
    faces: EventFaces,
    known: KnownPeople,
    event_id: str,
    *,
    min_cluster_size: int,
    min_samples: int,
    epsilon: float,
    similarities: Measured = NONE_MEASURED,
) -> PeopleResult:
    """Group every face and say who is who; pure, and the same for the same input.

    ``similarities``: for models whose thresholds were measured on photos of the user.
    """
    labels: Index = np.full(len(faces), -1, dtype=np.intp)
    for index, model in enumerate(faces.models):
        rows, vectors = faces.of_model(index)
        groups = group_faces(
            vectors,
            min_cluster_size=min_cluster_size,
            min_samples=min_samples,
            epsilon=epsilon,
            photo_ids=faces.photos[rows],
            quality=faces.quality[rows],
            thresholds=thresholds_for(model, similarities),
        )
        labels[rows] = np.where(groups >= 0, groups + labels.max(initial=-1) + 1, -1)
    return resolve_people(
        labels, faces, known, event_id=event_id, min_cluster_size=min_cluster_size
    )
