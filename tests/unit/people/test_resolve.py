"""New groups onto known people: the rules, one by one, on made-up faces."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from memoria.people.resolve import resolve_people
from memoria.people.roster import make_roster
from memoria.people.types import (
    EventFaces,
    KnownPeople,
    KnownPerson,
    PeopleResult,
)

NOBODY = UUID(int=0)
ANN, BOB, EVE, KIM = (UUID(int=number << 64) for number in range(1, 5))
LOOKS = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 8)))[0].T.astype("f4")


def face(row: int) -> UUID:
    return UUID(int=(row + 1) << 8)


def event(
    before: Sequence[UUID], looks: Sequence[int] | None = None, models: int = 1
) -> EventFaces:
    """One face per entry of ``before``, who it was; ``looks`` are indices into LOOKS."""
    count = len(before)
    chosen = LOOKS[list(looks) if looks is not None else [0] * count]
    noise = np.random.default_rng(1).standard_normal((count, 64)).astype("f4") * 0.02
    vectors = chosen.reshape(count, 64) + noise
    return EventFaces(
        ids=np.frombuffer(b"".join(face(row).bytes for row in range(count)), "u1").reshape(-1, 16),
        photos=np.arange(count),
        identities=np.frombuffer(b"".join(who.bytes for who in before), "u1").reshape(-1, 16),
        quality=np.linspace(0.5, 0.9, count, dtype=np.float32),
        models=tuple(f"model {number}" for number in range(models)),
        model_index=(np.arange(count) % models).astype("u1"),
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    )


def resolve(
    labels: Sequence[int], faces: EventFaces, known: KnownPeople, min_cluster_size: int = 3
) -> PeopleResult:
    return resolve_people(
        np.array(labels, dtype=np.intp),
        faces,
        known,
        event_id="party",
        min_cluster_size=min_cluster_size,
    )


def owners(result: PeopleResult) -> list[UUID]:
    found = [NOBODY] * len(result.faces)
    for group in result.groups:
        for row in group.rows:
            found[row] = group.person_id
    return found


def kinds(result: PeopleResult) -> list[str]:
    return sorted(change.kind for change in result.changes)


def people(*persons: KnownPerson, **said: Any) -> KnownPeople:
    return KnownPeople(persons, **said)


def test_a_first_run_makes_new_people() -> None:
    result = resolve([0, 0, 0, 1, 1, 1, -1], event([NOBODY] * 7), people())
    first, _, _, second, *_, last = owners(result)
    assert len({first, second, last}) == 3
    assert last == NOBODY
    assert result.nobody.tolist() == [6]
    assert kinds(result) == ["new", "new"]
    assert all(group.is_new for group in result.groups)


def test_the_same_faces_get_the_same_ids() -> None:
    faces = event([NOBODY] * 6)
    assert owners(resolve([0, 0, 0, 1, 1, 1], faces, people())) == owners(
        resolve([5, 5, 5, 2, 2, 2], faces, people())
    )


def test_no_faces_are_no_people() -> None:
    result = resolve([], event([]), people(KnownPerson(ANN, name="Ann")))
    assert (result.groups, result.changes, result.moved) == ((), (), 0)


def test_a_split_keeps_the_person_on_the_larger_part() -> None:
    result = resolve([0, 0, 0, 1, 1, 1, 1], event([ANN] * 7), people(KnownPerson(ANN, name="Ann")))
    assert owners(result)[3:] == [ANN] * 4
    assert kinds(result) == ["kept", "split"]
    (split,) = (change for change in result.changes if change.kind == "split")
    assert (split.other_person_id, split.faces) == (ANN, 3)


def test_a_merge_keeps_the_larger_of_the_unnamed() -> None:
    known = people(KnownPerson(ANN), KnownPerson(BOB))
    result = resolve([0] * 7, event([ANN] * 3 + [BOB] * 4), known)
    assert owners(result) == [BOB] * 7
    assert kinds(result) == ["kept", "merged"]


def test_a_merge_of_equals_keeps_the_older() -> None:
    known = people(KnownPerson(BOB), KnownPerson(ANN))
    assert owners(resolve([0] * 6, event([ANN] * 3 + [BOB] * 3), known)) == [BOB] * 6


def test_a_merge_keeps_the_named() -> None:
    known = people(KnownPerson(BOB), KnownPerson(ANN, name="Ann"))
    assert owners(resolve([0] * 8, event([ANN] * 3 + [BOB] * 5), known)) == [ANN] * 8


def test_a_single_face_does_not_carry_a_name_into_a_strangers_group() -> None:
    known = people(KnownPerson(BOB), KnownPerson(ANN, name="Ann"))
    before = [ANN] + [BOB] * 5 + [NOBODY] * 3
    for _ in range(2):  # and not in the next run either
        result = resolve([0] * 9, event(before), known)
        before = owners(result)
        assert before == [ANN] + [BOB] * 8


def test_a_stray_face_of_one_does_not_carry_a_name_onto_a_part_of_another() -> None:
    """Before, Bob got all 41: Ann owned but the larger of her two groups."""
    known = people(KnownPerson(ANN, name="Ann"), KnownPerson(BOB, name="Bob"))
    result = resolve([0] * 60 + [1] * 41, event([ANN] * 100 + [BOB]), known)
    assert owners(result) == [ANN] * 100 + [BOB]


@pytest.mark.parametrize("bob", [KnownPerson(BOB, name="Bob"), KnownPerson(BOB, hidden=True)])
def test_a_stray_face_leaves_a_part_of_a_stranger_to_somebody_new(bob: KnownPerson) -> None:
    """As that part would be without it; faces that came go with the part."""
    before = [ANN] * 10 + [EVE] * 2 + [BOB] + [NOBODY] * 3
    result = resolve(
        [0] * 6 + [1] * 10, event(before), people(KnownPerson(ANN), KnownPerson(EVE), bob)
    )
    assert owners(result) == [ANN] * 6 + [EVE] * 6 + [BOB] + [EVE] * 3
    alone = [ANN] * 10 + [BOB] + [NOBODY] * 3
    result = resolve([0] * 6 + [1] * 8, event(alone), people(KnownPerson(ANN), bob))
    (new,) = (group for group in result.groups if group.is_new)
    assert new.rows.tolist() == [6, 7, 8, 9, 11, 12, 13]
    assert owners(result)[10] == BOB


def test_two_named_people_in_one_group_divide_it_by_who_is_near() -> None:
    known = people(KnownPerson(ANN, name="Ann"), KnownPerson(BOB, name="Bob"))
    faces = event([ANN] * 3 + [BOB] * 3 + [NOBODY] * 2, looks=[0, 0, 0, 1, 1, 1, 0, 1])
    result = resolve([0] * 8, faces, known)
    assert owners(result) == [ANN] * 3 + [BOB] * 3 + [ANN, BOB]


def test_who_is_no_longer_the_largest_of_a_group_that_was_shared_out_joins_at_once() -> None:
    """Not in the next run, when nobody said or added anything."""
    before = [ANN] * 4 + [BOB] * 5 + [NOBODY] * 8
    known = people(KnownPerson(ANN, hidden=True), KnownPerson(BOB))
    assert (
        owners(resolve([0] * 17, event(before, [0] * 4 + [1] * 5 + [0] * 8), known)) == [ANN] * 17
    )
    assert owners(resolve([0] * 17, event(before, [0] * 4 + [1] * 13), known))[4:] == [BOB] * 13


def test_hidden_people_absorb_nobody() -> None:
    known = people(KnownPerson(BOB), KnownPerson(EVE, hidden=True))
    result = resolve([0] * 8, event([EVE] * 3 + [BOB] * 5), known)
    assert owners(result) == [EVE] * 3 + [BOB] * 5


def test_strangers_keep_also_who_looks_like_somebody_hidden_among_them() -> None:
    known = people(KnownPerson(BOB), KnownPerson(EVE, hidden=True))
    faces = event([EVE] * 3 + [BOB] * 5 + [NOBODY], looks=[1, 1, 1, 1, 0, 0, 0, 0, 1])
    assert owners(resolve([0] * 9, faces, known)) == [EVE] * 3 + [BOB] * 5 + [EVE]


def test_a_pinned_face_is_that_persons_even_among_others_or_alone() -> None:
    known = people(KnownPerson(ANN), KnownPerson(BOB), pins=((face(0), ANN), (face(7), ANN)))
    result = resolve([0, 0, 0, 0, 1, 1, 1, -1], event([BOB] * 4 + [ANN] * 3 + [NOBODY]), known)
    assert owners(result) == [ANN] + [BOB] * 3 + [ANN] * 4


def test_conflicting_pins_divide_a_group() -> None:
    known = people(KnownPerson(ANN), KnownPerson(BOB), pins=((face(0), ANN), (face(1), BOB)))
    faces = event([NOBODY] * 6, looks=[0, 1, 0, 0, 1, 1])
    assert owners(resolve([0] * 6, faces, known)) == [ANN, BOB, ANN, ANN, BOB, BOB]


def test_a_rejected_face_does_not_come_back_with_its_group() -> None:
    known = people(KnownPerson(ANN, name="Ann"), rejections=((face(0), ANN),))
    result = resolve([0] * 5, event([NOBODY] + [ANN] * 4), known)
    assert owners(result) == [NOBODY] + [ANN] * 4


TOLD_APART = KnownPeople(people=(KnownPerson(ANN), KnownPerson(BOB)), apart=((BOB, ANN),))


def test_who_was_told_apart_stays_two_in_one_group() -> None:
    result = resolve([0] * 8, event([ANN] * 5 + [BOB] * 3), TOLD_APART)
    assert owners(result) == [ANN] * 5 + [BOB] * 3


def test_a_face_does_not_stray_to_whom_its_person_was_told_apart_from() -> None:
    result = resolve([0] * 6 + [1] * 3, event([ANN] * 5 + [BOB] * 4), TOLD_APART)
    assert owners(result) == [ANN] * 5 + [BOB] * 4
    strays = resolve([0] * 6 + [1] * 3, event([ANN] * 5 + [BOB] * 4), replace(TOLD_APART, apart=()))
    assert owners(strays) == [ANN] * 6 + [BOB] * 3


def test_who_was_told_apart_is_not_taken_apart_by_a_run() -> None:
    """What became a newcomer could join the one whom it was told apart from."""
    faces = event([ANN] * 4 + [BOB] * 4 + [BOB] * 3)
    known = people(KnownPerson(ANN), KnownPerson(BOB), apart=((ANN, BOB),))
    assert owners(resolve([0] * 4 + [1] * 4 + [2] * 3, faces, known)) == [ANN] * 4 + [BOB] * 7


def test_whom_a_user_merged_after_telling_them_apart_is_one() -> None:
    one = KnownPeople(
        people=(KnownPerson(ANN), KnownPerson(BOB, merged_into=ANN)), apart=((ANN, BOB),)
    )
    result = resolve([0] * 8, event([ANN] * 5 + [BOB] * 3), one)
    assert result.moved == 0


def test_who_was_merged_by_a_user_stays_one_however_groups_fall() -> None:
    known = people(KnownPerson(ANN), KnownPerson(BOB, merged_into=ANN))
    before = [ANN] * 5 + [BOB] * 5
    for labels in ([0] * 5 + [1] * 5, [0] * 10, [0, 1] * 5):
        result = resolve(labels, event(before), known)
        assert set(owners(result)) <= {ANN, BOB}
        assert result.moved == 0
        assert kinds(result) == ["kept"]


def test_a_new_face_of_a_merged_person_is_whose_most_of_its_group_are() -> None:
    """So that everybody has their own when the merge is taken back."""
    known = people(KnownPerson(ANN), KnownPerson(BOB, merged_into=ANN), KnownPerson(EVE))
    before = [ANN] * 3 + [NOBODY] + [BOB] * 3 + [ANN] + [NOBODY] * 2 + [EVE]
    result = resolve([0] * 4 + [1] * 7, event(before), known)
    assert owners(result) == [ANN] * 4 + [BOB] * 3 + [ANN] + [BOB] * 3
    both = resolve([0] * 5, event([ANN] * 2 + [BOB] * 2 + [NOBODY]), known)
    assert owners(both)[4] == ANN


def test_noise_leaves_a_stranger_but_not_somebody_with_a_name() -> None:
    known = people(KnownPerson(ANN, name="Ann"), KnownPerson(BOB))
    result = resolve([-1] * 6, event([ANN] * 3 + [BOB] * 3), known)
    assert owners(result) == [ANN] * 3 + [NOBODY] * 3
    assert kinds(result) == ["gone", "kept"]


def test_whoever_has_no_faces_left_is_found_by_likeness() -> None:
    known = people(
        KnownPerson(ANN, name="Ann", model="model 0", centroid=LOOKS[3]),
        KnownPerson(BOB, model="another model", centroid=LOOKS[4]),
    )
    result = resolve([0] * 3 + [1] * 3, event([NOBODY] * 6, looks=[3] * 3 + [4] * 3), known)
    assert owners(result)[:3] == [ANN] * 3
    assert BOB not in owners(result)
    assert kinds(result) == ["new", "returned"]


def test_two_models_meet_in_one_person() -> None:
    faces = event([ANN] * 8, models=2)  # every other face is of the second model
    result = resolve([0, 1] * 4, faces, people(KnownPerson(ANN, name="Ann")))
    assert owners(result) == [ANN] * 8
    (group,) = result.groups
    assert group.model == "model 0"


def test_who_is_too_few_for_a_group_of_either_model_stays_meanwhile() -> None:
    """While an event goes over to another model. One model's doubt still counts."""
    known = people(KnownPerson(ANN), KnownPerson(BOB))
    before = [ANN] * 4 + [BOB, NOBODY] * 2
    for _ in range(2):
        before = owners(resolve([-1] * 8, event(before, models=2), known))
        assert before == [ANN] * 4 + [NOBODY] * 4


def test_the_representative_is_the_best_face_near_the_centre() -> None:
    faces = event([NOBODY] * 5, looks=[0, 0, 0, 0, 1])  # the last one has the best quality
    (group,) = resolve([0] * 5, faces, people()).groups
    assert group.representative in (1, 2, 3)
    assert np.linalg.norm(group.centroid) == pytest.approx(1, abs=1e-6)


Run = tuple[list[int], EventFaces, KnownPeople, int]  # with groups, and how many faces make one
OFTEN = settings(deadline=None, max_examples=200, phases=[Phase.generate, Phase.shrink])


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Whoever is known, with what users said, and the groups of their faces."""
    some_faces = st.tuples(
        st.integers(-1, 3),
        st.sampled_from([NOBODY, ANN, BOB, EVE, KIM]),
        st.integers(0, 7),
        st.integers(1, 6),
    )
    drawn = draw(st.lists(some_faces, min_size=1, max_size=20))
    each = [said for *said, times in drawn for _ in range(times)]
    labels, before, looks = map(list, zip(*each, strict=True))
    known_ids = st.sampled_from([ANN, BOB, EVE, KIM])
    said = st.lists(st.tuples(st.integers(0, len(each) - 1).map(face), known_ids), max_size=4)
    names = draw(st.lists(st.sampled_from([None, "Name"]), min_size=4, max_size=4))
    into = draw(st.sampled_from([None, ANN]))
    known = KnownPeople(
        people=(
            KnownPerson(ANN, name=names[0]),
            KnownPerson(BOB, name=names[1], merged_into=into),
            KnownPerson(EVE, name=names[2], hidden=draw(st.booleans())),
            KnownPerson(KIM, name=names[3]),
        ),
        pins=tuple(dict(draw(said)).items()),
        rejections=tuple(draw(said)),
        apart=tuple(draw(st.lists(st.tuples(known_ids, known_ids), max_size=2))),
    )
    models = draw(st.integers(1, 2))
    labels = [
        group if group < 0 else group * models + row % models for row, group in enumerate(labels)
    ]
    return labels, event(before, looks, models), known, draw(st.integers(2, 4))


@OFTEN
@given(run=runs())
def test_a_run_on_its_own_outcome_changes_nothing(run: Run) -> None:
    labels, faces, known, smallest = run
    first = resolve(labels, faces, known, smallest)
    made = tuple(KnownPerson(group.person_id) for group in first.groups if group.is_new)
    identities = np.frombuffer(b"".join(who.bytes for who in owners(first)), "u1").reshape(-1, 16)
    second = resolve(
        labels,
        replace(faces, identities=identities),
        replace(known, people=known.people + made),
        smallest,
    )
    assert owners(second) == owners(first)
    rows = [*first.nobody, *(row for group in first.groups for row in group.rows)]
    assert sorted(rows) == list(range(len(faces)))
    pinned = dict(known.pins)
    root = {person.id: person.root for person in known.people}
    for row, owner in enumerate(owners(first)):
        if face(row) in pinned:
            assert root[owner] == root[pinned[face(row)]]
    for rejected, person in known.rejections:
        owner = owners(first)[rejected.int // 256 - 1]
        pin = pinned.get(rejected)
        assert root.get(owner, owner) != root[person] or (pin and root[pin] == root[person])


@OFTEN
@given(run=runs())
def test_a_name_neither_goes_nor_is_carried_over(run: Run) -> None:
    labels, faces, known, smallest = run
    roster = make_roster(faces, known)
    ids = np.array([*roster.ids, NOBODY])
    root = dict(zip(roster.ids, ids[roster.root], strict=True))
    before, after = ids[roster.prior], [root.get(who, who) for who in owners(resolve(*run))]
    named = {person for person in ids[np.flatnonzero(roster.named)] if root[person] == person}
    assert named & set(before) <= set(after), "a name without faces"
    apart = {frozenset((root[one], root[other])) for one, other in known.apart}
    pinned = dict(known.pins)
    carried: Counter[tuple[int, UUID, UUID]] = Counter()
    for row, (was, now) in enumerate(zip(before, after, strict=True)):
        if was != now and face(row) not in pinned:
            assert frozenset((was, now)) not in apart, "told apart, and went over"
            assert was not in named or now != NOBODY, "from a name to noise"
            carried[labels[row], was, now] += was != NOBODY and now in named
    there = Counter(zip(labels, before, strict=True))
    for (group, _, now), count in carried.items():
        assert not 0 < there[group, now] < min(smallest, count), "a stray face carried a name"
