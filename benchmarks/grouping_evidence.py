"""What the evidence says where one decision hangs on it: one photo that shows both, bystanders."""

from collections.abc import Iterator

import numpy as np

from benchmarks.grouping_constants import with_constants
from benchmarks.grouping_sets import Event, all_events, drawn, lfw
from memoria.arrays import F64, Index
from memoria.clustering import group_faces, settling
from memoria.clustering.evidence import Evidence, evidence_for
from memoria.clustering.groups import dots, groups_of
from memoria.clustering.quality import face_weights
from memoria.clustering.same_photo import NATS
from memoria.clustering.thresholds import MEASURED

BARS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # nats
LFW_EVENTS = {100: 12, 300: 8}


def one_photo() -> Iterator[str]:
    """How often the evidence for one person outweighs one photo that shows both halves."""
    yield f"| photos in each half | evidence over {NATS:g} | most evidence for two people |"
    yield "|---|---|---|"
    evidence, rng = evidence_for(MEASURED), np.random.default_rng(0)
    sets = [*(event for event in all_events() if event.kind == "whole"), lfw()]
    for count in (1, 2, 3, 6):
        same, different = [], []
        for event in sets:
            taken = np.bincount(event.person)
            for who in np.flatnonzero(taken >= 2 * count):
                photos = rng.permutation(np.flatnonzero(event.person == who))[: 2 * count]
                same.append(_between(event, photos, 2, evidence)[0])
            whom = np.flatnonzero(taken >= count)
            some = [rng.permutation(np.flatnonzero(event.person == w))[:count] for w in whom]
            different.append(_between(event, np.concatenate(some), len(whom), evidence).max())
        over = np.mean(np.array(same) > NATS)
        yield f"| {count} | {over:.0%} of {len(same)} people | {max(different):.1f} |"


def _between(event: Event, faces: Index, count: int, evidence: Evidence) -> F64:
    """The evidence of all pairs of ``count`` groups of equal size."""
    quality = None if event.quality is None else event.quality[faces]
    weight = face_weights(quality, len(faces))[0]
    group = np.repeat(np.arange(count), len(faces) // count)
    groups = groups_of(event.rows[faces], weight, group, count)
    one, other = np.triu_indices(count, 1)
    return evidence.between(groups, one, other, dots(groups.sums, one, groups.sums, other))


def bystanders() -> Iterator[str]:
    """What the bar for clear faces keeps out, beside having none."""
    yield "| nats a clear face needs | right faces kept out | wrong faces kept out |"
    yield "|---|---|---|"
    events = [event for event in all_events() if event.kind not in ("bursts", "portraits")]
    events += drawn(lfw(), LFW_EVENTS)
    free = [_clear(event, -np.inf) for event in events]
    for bar in BARS:
        barred = [_clear(event, bar) for event in events]
        right, wrong = np.sum(free, axis=0) - np.sum(barred, axis=0)
        yield f"| {bar:g} | {right} | {wrong} |"


def _clear(event: Event, bar: float) -> tuple[int, int]:
    """How many clear faces are in a group that is mostly their person, in one that is not."""
    with with_constants([(settling, "SPEAKS", bar)]):
        labels = group_faces(event.rows, quality=event.quality)
    clear = face_weights(event.quality, len(labels))[0] >= settling.CLEAR
    right = wrong = 0
    for group in range(int(labels.max(initial=-1)) + 1):
        members = labels == group
        whose = np.bincount(event.person[members]).argmax()
        right += int(np.sum(members & clear & (event.person == whose)))
        wrong += int(np.sum(members & clear & (event.person != whose)))
    return right, wrong
