"""What a run found, as ``memoria_save_people`` takes it: see docs/sql-surface.md."""

from typing import Any
from uuid import UUID

from memoria.people.suggestions import SamePerson, Shown, Suggestion, WhoIsThis
from memoria.people.types import Change, PeopleResult, PersonGroup

Json = dict[str, Any]


def result_as_json(people: PeopleResult, asked: tuple[Suggestion, ...], seconds: float) -> Json:
    """``p_result``: who is who, what became of whom, and what to ask. Ids are text."""
    ids = [str(UUID(bytes=row.tobytes())) for row in people.faces.ids]
    return {
        "processing_time_seconds": seconds,
        "groups": [_group(group, ids) for group in people.groups],
        "nobody": [ids[row] for row in people.nobody],
        "changes": [_change(change) for change in people.changes if change.kind != "kept"],
        "suggestions": [_suggestion(one) for one in asked],
    }


def _group(group: PersonGroup, ids: list[str]) -> Json:
    return {
        "person_id": str(group.person_id),
        "is_new": group.is_new,
        "face_ids": [ids[row] for row in group.rows],
        "representative_face_id": ids[group.representative],
    }


def _change(change: Change) -> Json:
    return {
        "kind": change.kind,
        "person_id": str(change.person_id),
        "other_person_id": str(change.other_person_id) if change.other_person_id else None,
        "faces": change.faces,
    }


def _suggestion(asked: Suggestion) -> Json:
    return _same_person(asked) if isinstance(asked, SamePerson) else _who_is_this(asked)


def _same_person(asked: SamePerson) -> Json:
    return {
        "kind": "same_person",
        "one_id": str(asked.one),
        "other_id": str(asked.other),
        "likelihood": round(asked.likelihood, 4),
        "weight": round(asked.weight, 4),
        "photos_together": asked.photos_together,
        "evidence": [_shown(pair) for pair in asked.evidence],
    }


def _shown(pair: Shown) -> Json:
    return {
        "face_id": str(pair.face),
        "other_face_id": str(pair.other_face),
        "similarity": round(pair.similarity, 3),
    }


def _who_is_this(asked: WhoIsThis) -> Json:
    candidates = [
        {"person_id": str(who), "likelihood": round(likelihood, 4)}
        for who, likelihood in asked.candidates
    ]
    return {
        "kind": "who_is_this",
        "face_id": str(asked.face),
        "likelihood": candidates[0]["likelihood"],
        "weight": round(asked.weight, 4),
        "candidates": candidates,
    }
