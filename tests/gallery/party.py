"""Events to look at: painted photos in Storage, and their faces and people put in by SQL.

Who is in which photo is known, and no recogniser is asked. Every event has rows of its own; the
bytes of the photos are shared.
"""

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import psycopg
from PIL import Image, ImageDraw, ImageFilter

from local.processes.stack import Stack

Json = dict[str, Any]

PAINTED, PHOTOS, WIDTH, HEIGHT, PER_PHOTO = 12, 24, 1024, 683, 5
FACES = 12  # different looks
_SKIN = ("#f3d3bd", "#d8a27c", "#a8714b", "#7a4b2e")
_HAIR = ("#2b1d14", "#7c4a1e", "#d9b25f", "#888888", "#b5532a")
_SHIRT = ("#7a1f3d", "#204a6b", "#2f5d3a", "#c98a1b", "#5b3f80", "#404040")
# nobody's faces are those of the look after the last
PARTY = (("Ann", 20), ("Bob", 16), (None, 12), (None, 9), ("Cleo", 7), (None, 5), (None, 4))
HIDDEN = 6


@dataclass(frozen=True, slots=True)
class Party:
    """One event, and whom it shows: the ids of people, in the order of PARTY."""

    event_id: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """The painted photos: version of the stored bytes, and where a face of each look is."""

    owner_id: str
    versions: tuple[str, ...]
    metadata: str


def boxes() -> list[tuple[float, float, float, float]]:
    """Of the faces of every photo, left to right: x, y, w, h as fractions."""
    size = 150
    found = []
    for place in range(PER_PHOTO):
        x, y = 40 + place * 195, 150 + 60 * (place % 2)
        found.append((x / WIDTH, y / HEIGHT, size / WIDTH, size / HEIGHT))
    return found


@cache
def painted(number: int) -> bytes:
    """A JPEG of as many bytes as a preview of a photo has: five people before a wall."""
    rng = np.random.default_rng(number)
    ground = [int(level) for level in rng.integers(90, 200, 3)]
    picture = Image.new("RGB", (WIDTH, HEIGHT), tuple(ground))
    draw = ImageDraw.Draw(picture)
    for _ in range(30):
        x, y, r = rng.integers((0, 0, 20), (WIDTH, HEIGHT, 130)).tolist()
        light = tuple(min(255, level + int(rng.integers(0, 60))) for level in ground)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=light)
    picture = picture.filter(ImageFilter.GaussianBlur(12))
    draw = ImageDraw.Draw(picture)
    for place, sides in enumerate(boxes()):
        box = tuple(round(side * of) for side, of in zip(sides, (WIDTH, HEIGHT) * 2, strict=True))
        _person(draw, look(number, place), box)
    noise = rng.normal(0, 7, (HEIGHT, WIDTH, 1))
    grained = np.clip(np.asarray(picture, float) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grained).save(file, "JPEG", quality=82)
    return file.getvalue()


def look(number: int, place: int) -> int:
    """Which look the person at that place of a painted photo has."""
    return (number * 7 + place * 5) % FACES


def _person(draw: ImageDraw.ImageDraw, who: int, box: tuple[int, ...]) -> None:
    x, y, w, h = box
    skin, hair = _SKIN[who % len(_SKIN)], _HAIR[who * 3 % len(_HAIR)]
    middle, below = x + w // 2, y + h
    draw.ellipse((x - 25, below - 15, x + w + 25, below + 330), fill=_SHIRT[who % len(_SHIRT)])
    draw.rectangle((middle - 22, below - 30, middle + 22, below + 15), fill=skin)
    draw.ellipse((x - 8, y - 25, x + w + 8, y + h * 0.75), fill=hair)
    draw.ellipse((x + 10, y, x + w - 10, below), fill=skin)
    for side in (-1, 1):
        eye = (middle + side * 28, y + h * 0.42)
        draw.ellipse((eye[0] - 9, eye[1] - 6, eye[0] + 9, eye[1] + 6), fill="white")
        draw.ellipse((eye[0] - 5, eye[1] - 5, eye[0] + 5, eye[1] + 5), fill="#222222")
    smile = (middle - 28, y + h * 0.55, middle + 28, y + h * 0.82)
    draw.arc(smile, 20 + who * 3, 160 - who * 3, fill="#8c3030", width=5)
    if who % 3 == 0:  # glasses
        for side in (-1, 1):
            frame = (
                middle + side * 28 - 20,
                y + h * 0.42 - 16,
                middle + side * 28 + 20,
                y + h * 0.54,
            )
            draw.rectangle(frame, outline="#333333", width=3)


def store_looks(stack: Stack, owner_id: str) -> Looks:
    """Upload the painted photos once, where no event is."""
    bucket = stack.client().storage.from_("photos")
    for number in range(PAINTED):
        bucket.upload(f"painted/{number}.jpg", painted(number), {"content-type": "image/jpeg"})
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute(
            "select version, metadata::text from storage.objects where name like 'painted/%%'"
            " order by substring(name from '[0-9]+')::int"
        ).fetchall()
    return Looks(owner_id, tuple(row[0] for row in rows), rows[0][1])


def make_party(connection: psycopg.Connection[Any], looks: Looks, event_id: str) -> Party:
    """24 photos; the people of PARTY, the last of them hidden; questions; faces of nobody."""
    people = tuple(
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{event_id}/{n}")) for n in range(len(PARTY))
    )
    with connection.transaction(), connection.cursor() as cursor:
        _photos(connection, looks, event_id, PHOTOS)
        cursor.executemany(
            "insert into memoria.persons (id, event_id, name, hidden) values (%s, %s, %s, %s)",
            [(people[n], event_id, name, n == HIDDEN) for n, (name, _) in enumerate(PARTY)],
        )
        faces = list(_faces(event_id, people))
        cursor.executemany(_FACE, faces)
        cursor.execute("select memoria.refresh_people(%s::uuid[])", (list(people),))
        cursor.execute("select memoria.relabel_people(%s)", (event_id,))
        asked = json.dumps(_questions(people, faces))
        cursor.execute("select memoria.store_suggestions(%s, %s)", (event_id, asked))
    return Party(event_id, people)


_FACE = """
insert into memoria.faces (id, event_id, media_id, media_number, x, y, w, h, landmarks, score,
  quality, model, person_id, identity_id)
select %(id)s, event_id, id, number, %(x)s, %(y)s, %(w)s, %(h)s, array_fill(0.5::real, array[10]),
  0.9, %(quality)s, 'painted', %(person)s::uuid, %(person)s::uuid
from memoria.media where id = %(photo)s
"""


def _faces(event_id: str, people: tuple[str, ...]) -> Iterator[Json]:
    """Each person at most once in a photo, first who has most photos left; one face is nobody's."""
    left = {person: count for person, (_, count) in zip(people, PARTY, strict=True)}
    for photo in range(PHOTOS):
        free = sorted((person for person in people if left[person]), key=lambda p: -left[p])
        for place, person in enumerate((*free[: PER_PHOTO - 1], None)):
            if person:
                left[person] -= 1
            x, y, w, h = boxes()[place]
            yield {
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{event_id}/{photo}/{place}")),
                "photo": f"{event_id}/{photo}", "person": person, "x": x, "y": y, "w": w, "h": h,
                "quality": 0.5 + 0.1 * place,
            }  # fmt: skip


def _questions(people: tuple[str, ...], faces: list[Json]) -> list[Json]:
    """Are Ann and the third one, Bob and the fourth, these two; whose are two faces of nobody's."""
    asked: list[Json] = []
    for one, other, weight in ((0, 2, 9.0), (1, 3, 5.0), (2, 3, 2.0)):
        pair = sorted((people[one], people[other]))
        shown = [[face["id"] for face in faces if face["person"] == who][:3] for who in pair]
        evidence = [
            {"face_id": mine, "other_face_id": theirs, "similarity": 0.5}
            for mine, theirs in zip(*shown, strict=True)
        ]
        asked.append({
            "kind": "same_person", "one_id": pair[0], "other_id": pair[1], "likelihood": 0.8,
            "weight": weight, "evidence": evidence,
        })  # fmt: skip
    candidates = [
        {"person_id": people[0], "likelihood": 0.6}, {"person_id": people[1], "likelihood": 0.3}
    ]  # fmt: skip
    for face in [face for face in faces if face["person"] is None][:2]:
        asked.append({
            "kind": "who_is_this", "face_id": face["id"], "likelihood": 0.6, "weight": 1.0,
            "candidates": candidates,
        })  # fmt: skip
    return asked


def _photos(connection: psycopg.Connection[Any], looks: Looks, event_id: str, photos: int) -> None:
    """The event, its photos in Storage and in Memoria, as after a run."""
    about: Json = {"event": event_id, "owner": looks.owner_id, "versions": list(looks.versions)}
    about |= {"photos": photos, "metadata": looks.metadata, "painted": PAINTED}
    connection.execute(
        "insert into memoria.events (id, owner_id, made_by, clustered_at)"
        " values (%(event)s, %(owner)s, %(owner)s, now())",
        about,
    )
    connection.execute(
        "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata)"
        " select 'photos', %(event)s || folder || n || '.jpg', %(owner)s::uuid, %(owner)s,"
        "  (%(versions)s::text[])[n %% %(painted)s + 1], %(metadata)s::jsonb"
        " from generate_series(0, %(photos)s - 1) as n, unnest(array['/', '/preview/']) as folder",
        about,
    )
    connection.execute(
        "insert into memoria.media (id, event_id, bucket, path, preview_path, status, width,"
        " height, model, added_by, faces_detected)"
        " select %(event)s || '/' || n, %(event)s, 'photos', %(event)s || '/' || n || '.jpg',"
        "  %(event)s || '/preview/' || n || '.jpg', 'completed', 4096, 2732, 'painted',"
        "  %(owner)s::uuid, 5"
        " from generate_series(0, %(photos)s - 1) as n order by n",
        about,
    )


CROWD = """
    insert into memoria.persons (id, event_id, name)
    select md5(%(event)s || n)::uuid, %(event)s, case when n %% 10 = 0 then 'Guest ' || n end
    from generate_series(0, 999) as n;
    insert into memoria.faces (id, event_id, media_id, media_number, x, y, w, h, landmarks, score,
      quality, model, person_id, identity_id)
    select md5(%(event)s || media.id || place)::uuid, %(event)s, media.id, media.number,
      box.x, box.y, box.w, box.h, array_fill(0.5::real, array[10]), 0.9,
      ('x' || left(md5(media.id || place), 4))::bit(16)::int / 65536.0, 'painted', who, who
    from memoria.media,
      unnest(%(xs)s::real[], %(ys)s::real[], %(ws)s::real[], %(hs)s::real[])
        with ordinality as box (x, y, w, h, place),
      -- a tenth is nobody's; few people have most of the faces
      lateral (select case when (media.number * 7 + place) %% 10 > 0 then md5(%(event)s || floor(
        power(('x' || left(md5(place || media.id), 4))::bit(16)::int / 65536.0, 2) * 1000
      ))::uuid end as who) as theirs
    where event_id = %(event)s;
    select memoria.refresh_people(memoria.people_of_event(%(event)s));
    select memoria.relabel_people(%(event)s);
    select memoria.store_suggestions(%(event)s, jsonb_agg(jsonb_build_object('kind', 'who_is_this',
      'face_id', id, 'likelihood', 0.6, 'weight', 1, 'candidates', (
        select jsonb_agg(jsonb_build_object('person_id', id, 'likelihood', 0.3)) from (
          select id from memoria.persons where event_id = %(event)s order by face_count desc limit 3
        ) as likely))))
    from (select id from memoria.faces where event_id = %(event)s and person_id is null limit 300)
      as nobodys;
"""


def make_crowd(connection: psycopg.Connection[Any], looks: Looks, event_id: str) -> None:
    """1,000 people, 20,000 faces in 4,000 photos, 300 questions."""
    x, y, w, h = ([box[side] for box in boxes()] for side in range(4))
    with connection.transaction():
        _photos(connection, looks, event_id, 4000)
        arguments = {"event": event_id, "xs": x, "ys": y, "ws": w, "hs": h}
        for statement in CROWD.strip().rstrip(";").split(";\n"):
            connection.execute(statement, arguments)
    with psycopg.connect(connection.info.dsn, autocommit=True) as alone:
        alone.execute("analyze")
