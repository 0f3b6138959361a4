"""Are the right questions asked? "One person?" and "who is this?", answered by the labels.

Run it: `python -m benchmarks.suggestions [part …]`; it prints the tables of docs/people.md, and
needs the labelled vectors and portraits that lie beside the repository. Chosen on LFW, asian, five
and friends (FACE_SLOPE, FACE_OFFSET, LIKELY_…); judged on the portraits, kpop, pins and worldcup.
"""

import argparse
import time
from collections.abc import Iterator
from uuid import UUID

import numpy as np

from benchmarks.grouping_portraits import portraits
from benchmarks.grouping_sets import SMALL, Event, outside, with_few
from memoria.arrays import Index
from memoria.clustering import group_faces
from memoria.clustering.rows import unit_rows
from memoria.people.regroup import regroup
from memoria.people.suggestions import SamePerson, Suggestion, WhoIsThis, suggestions
from memoria.people.types import EventFaces, KnownPeople, PeopleResult, PersonGroup

PACK = "scrfd2.5g_mobilefacenet"
JUDGES = ("kpop", "pins", "worldcup")
EDGES = (0.03, 0.1, 0.2, 0.5, 0.9, 0.99)
SPLITS, PEOPLE, FIRST = 30, 90, 20
COST = (1_000, 5_000, 20_000)


def faces_of(event: Event) -> EventFaces:
    """As a run loads them: one photo a face."""
    n = len(event.rows)
    vectors = np.zeros((n, 512), np.float32)
    vectors[:, : event.rows.shape[1]] = event.rows
    ids = np.zeros((n, 16), np.uint8)
    ids[:, :4] = np.arange(1, n + 1, dtype=">u4").view(np.uint8).reshape(n, 4)
    quality = np.ones(n, np.float32) if event.quality is None else event.quality.astype(np.float32)
    return EventFaces(
        ids=ids,
        photos=np.arange(n),
        identities=np.zeros((n, 16), np.uint8),
        quality=quality,
        models=(PACK,),
        model_index=np.zeros(n, np.uint8),
        vectors=vectors,
    )


def grouped(faces: EventFaces, label: Index) -> PeopleResult:
    """People as labels say, -1 for nobody's. (n,)."""
    groups = tuple(
        PersonGroup(UUID(int=int(who) + 1), True, rows, int(rows[0]), PACK, faces.vectors[rows[0]])
        for who in np.unique(label[label >= 0])
        for rows in [np.flatnonzero(label == who)]
    )
    return PeopleResult(faces, groups, np.flatnonzero(label < 0), (), 0)


def cut(person: Index, parts: int, people: Index, seed: int = 0) -> tuple[Index, Index]:
    """These people cut in so many parts. -> (n,) part of each face, (k,) whose part it is."""
    rng = np.random.default_rng(seed)
    label = np.full(len(person), -1, dtype=np.intp)
    owner: list[int] = []
    for who in np.unique(person):
        rows = rng.permutation(np.flatnonzero(person == who))
        for part in np.array_split(rows, parts if who in people else 1):
            label[part] = len(owner)
            owner.append(int(who))
    return label, np.array(owner)


def asked_of(event: Event, label: Index) -> tuple[Suggestion, ...]:
    return suggestions(grouped(faces_of(event), label), KnownPeople())


def are_true(event: Event, asked: tuple[Suggestion, ...], owner: Index) -> list[bool]:
    """Whether two are one; whether the face is the likeliest candidate's."""
    found = []
    for one in asked:
        if isinstance(one, SamePerson):
            found.append(bool(owner[one.one.int - 1] == owner[one.other.int - 1]))
        else:
            row = int.from_bytes(one.face.bytes[:4]) - 1
            found.append(bool(owner[one.candidates[0][0].int - 1] == event.person[row]))
    return found


def portrait_event() -> Event:
    rows, person, quality = portraits("none")
    seen = np.bincount(person)[person] >= 3
    whole = Event("portraits", "none", rows, person, quality)
    return whole.of("portraits", np.flatnonzero(seen))


def cut_in_parts() -> Iterator[str]:
    """90 people with 3 to 10 portraits each, every one cut in two and in three."""
    event = portrait_event()
    yield "| portraits | true pairs | in the list | of the first 20 true | list / true pairs |"
    yield "|---|---|---|---|---|"
    for parts in (2, 3):
        label, owner = cut(event.person, parts, np.unique(event.person))
        asked = asked_of(event, label)
        true = are_true(event, asked, owner)
        pairs = sum(k * (k - 1) // 2 for k in np.bincount(owner))
        yield (
            f"| {len(np.unique(event.person))} people cut in {parts} | {pairs} | "
            f"{sum(true) / pairs:.1%} | {np.mean(true[:FIRST]):.0%} | {len(true) / pairs:.2f} |"
        )


def left_apart() -> Iterator[str]:
    """What grouping really leaves apart."""
    yield (
        "| event | faces | people found | pairs it left apart | asked | faces it left to nobody "
        "| asked about | first candidate right | of the first 20 questions right | questions |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for event in outside(SMALL):
        if event.name not in JUDGES:
            continue
        label = group_faces(event.rows, quality=event.quality, model=PACK)
        owner = _owners(event, label)
        asked = asked_of(event, label)
        true = are_true(event, asked, owner)
        pairs = sum(k * (k - 1) // 2 for k in np.bincount(owner, minlength=1))
        of_pairs = [t for a, t in zip(asked, true, strict=True) if isinstance(a, SamePerson)]
        of_faces = [t for a, t in zip(asked, true, strict=True) if isinstance(a, WhoIsThis)]
        first = f"{np.mean(true[:FIRST]):.0%}" if true else "nothing to ask"
        yield (
            f"| {event.name} | {len(label)} | {len(owner)} "
            f"| {pairs} | {sum(of_pairs)} of {len(of_pairs)} "
            f"| {np.count_nonzero(label < 0)} | {len(of_faces)} | {sum(of_faces)} "
            f"| {first} | {len(true)} |"
        )


def _owners(event: Event, label: Index) -> Index:
    """Who most of each group is. -> (k,)."""
    groups = range(int(label.max()) + 1)
    return np.array([np.bincount(event.person[label == group]).argmax() for group in groups])


def oracle() -> Iterator[str]:
    """Questions that are answered by the labels until every person is whole again."""
    event = portrait_event()
    rng = np.random.default_rng(1)
    people = rng.permutation(np.unique(event.person))[:SPLITS]
    label, owner = cut(event.person, 2, people)
    apart: set[tuple[UUID, UUID]] = set()
    questions = 0
    while len(np.unique(label)) > len(np.unique(event.person)):
        known = KnownPeople(apart=tuple(apart))
        asked = suggestions(grouped(faces_of(event), label), known)
        if not asked or not isinstance(asked[0], SamePerson):
            break
        questions += 1
        one, other = asked[0].one.int - 1, asked[0].other.int - 1
        if owner[one] == owner[other]:
            label[label == other] = one
        else:
            apart.add((asked[0].one, asked[0].other))
    left = len(np.unique(label)) - len(np.unique(event.person))
    yield "| people | splits | questions | per split | splits left |"
    yield "|---|---|---|---|---|"
    yield f"| {PEOPLE} | {SPLITS} | {questions} | {questions / SPLITS:.2f} | {left} |"


def reliability() -> Iterator[str]:
    """How often the likelihood comes true, over everything that was not tuned on."""
    bins: dict[str, list[tuple[float, bool]]] = {"pairs": [], "faces": []}
    portrait = portrait_event()
    events: list[tuple[Event, Index, Index]] = []
    for parts in (2, 3):
        events.append((portrait, *cut(portrait.person, parts, np.unique(portrait.person))))
    for event in outside(SMALL):
        if event.name in JUDGES:
            for part in (event, with_few(event, 0), with_few(event, 1)):
                label = group_faces(part.rows, quality=part.quality, model=PACK)
                events.append((part, label, _owners(part, label)))
    for event, label, owner in events:
        asked = asked_of(event, label)
        for one, true in zip(asked, are_true(event, asked, owner), strict=True):
            if isinstance(one, SamePerson):
                bins["pairs"].append((one.likelihood, true))
            else:
                bins["faces"].append((one.candidates[0][1], true))
    yield "| likelihood | pairs | said | true | faces | said | true |"
    yield "|---|---|---|---|---|---|---|"
    for low, high in zip(EDGES, (*EDGES[1:], 1.01), strict=True):
        cells = []
        for kind in ("pairs", "faces"):
            here = [(said, true) for said, true in bins[kind] if low <= said < high]
            mean = np.mean(here, axis=0) if here else (0, 0)
            cells.append(f"{len(here)} | {mean[0]:.2f} | {mean[1]:.2f}" if here else "0 | | ")
        yield f"| {low:g} to {min(high, 1):g} | {' | '.join(cells)} |"


def made_up(size: int) -> Event:
    """Ten faces of each person, 0.6 alike; every tenth looks like nobody."""
    rng = np.random.default_rng(size)
    person = np.arange(size) // 10
    people = rng.standard_normal((size // 10, 512), dtype=np.float32)
    noise = rng.standard_normal((size, 512), dtype=np.float32)
    share = np.where(np.arange(size) % 10 == 9, 0.4, 0.77)[:, None].astype(np.float32)
    rows = unit_rows(share * people[person] + np.sqrt(1 - share**2) * noise)
    return Event("made up", str(size), rows, person, None)


def cost() -> Iterator[str]:
    """Beside the grouping and matching that they follow; loading and storing not counted.

    Made-up people with ten faces each.
    """
    yield "| faces | run | questions | share |"
    yield "|---|---|---|---|"
    for size in COST:
        faces = faces_of(made_up(size))
        runs, asks = [], []
        for _ in range(3):
            start = time.perf_counter()
            result = regroup(
                faces, KnownPeople(), "cost", min_cluster_size=3, min_samples=2, epsilon=0.4
            )
            middle = time.perf_counter()
            suggestions(result, KnownPeople())
            runs.append(middle - start)
            asks.append(time.perf_counter() - middle)
        run, ask = min(runs), min(asks)
        yield f"| {len(faces):,} | {run:.2f} s | {ask:.3f} s | {ask / run:.1%} |"


PARTS = {
    "cut": cut_in_parts,
    "apart": left_apart,
    "oracle": oracle,
    "reliability": reliability,
    "cost": cost,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    for name in parser.parse_args().parts or PARTS:
        print(f"\n{PARTS[name].__doc__}\n")
        print("\n".join(PARTS[name]()))


if __name__ == "__main__":
    main()
