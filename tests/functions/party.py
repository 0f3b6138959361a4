"""An event of real photos behind the real functions, and a guest who searches it."""

import io
import json
import uuid
from typing import Any

import cv2
import httpx
import numpy as np
import psycopg
from PIL import Image

from local.processes.stack import Stack
from memoria.arrays import F32
from memoria.store.jobs import vector_text
from tests.data import PORTRAITS, SMALL_PACK

Json = dict[str, Any]
ONE_VECTOR = np.eye(512, dtype=np.float32)[0]


def photos_of(count: int) -> list[list[bytes]]:
    """Photos of so many people with five or more, five each."""
    labels = json.loads((PORTRAITS / "labels.json").read_text())["photos"]
    named: dict[str, list[str]] = {}
    for name, who in sorted(labels.items()):
        named.setdefault(str(who), []).append(name)
    several = [names for names in named.values() if len(names) >= 5][:count]
    return [[(PORTRAITS / name).read_bytes() for name in names[:5]] for names in several]


class Party:
    """Four photos of each of three people, grouped; a fifth of each is the selfie."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.client = stack, stack.client()
        self.event = f"party {uuid.uuid4()}"
        *people, stranger = photos_of(4)
        self.selfies = [photos[4] for photos in people]
        self.stranger = stranger[0]
        self.client.storage.create_bucket(self.event_bucket)
        for person, photos in enumerate(people):
            for number, data in enumerate(photos[:4]):
                self._process(f"{person} {number}", data)
        cluster = self.client.rpc("memoria_recluster", {"p_event_id": self.event}).execute().data
        ids = {"job_id": cluster["job_id"], "event_id": self.event}
        assert self._ask(f"{stack.cluster_url}/cluster", ids)["clusters_created"] == 3

    @property
    def event_bucket(self) -> str:
        return "photos"

    def _process(self, name: str, data: bytes) -> None:
        media = f"{self.event} {name}"
        path = f"{uuid.uuid4()}.jpg"
        self.client.storage.from_(self.event_bucket).upload(path, data)
        place = {"p_bucket": self.event_bucket, "p_path": path}
        ids = {"p_media_id": media, "p_event_id": self.event}
        job = self.client.rpc("memoria_enqueue", ids | place).execute().data
        url = self.client.storage.from_(self.event_bucket).create_signed_url(path, 600)["signedURL"]
        body = {"job_id": job["job_id"], "media_id": media, "event_id": self.event}
        found = self._ask(f"{self.stack.process_url}/process", body | {"media_url": url})
        assert found["faces_detected"] >= 1

    def _ask(self, url: str, body: Json) -> Json:
        headers = {"Authorization": f"Bearer {self.stack.webhook_secret}"}
        answer = httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        answered: Json = answer.json()
        return answered

    def link(self, **options: Any) -> str:
        """A token for the event."""
        return self.link_of(self.event, **options)

    def link_of(self, event: str, **options: Any) -> str:
        """A token for an event."""
        arguments = {"p_event_id": event, "p_options": options}
        return str(self.client.rpc("memoria_create_search_link", arguments).execute().data["token"])

    def search(
        self, token: str, *pictures: bytes, headers: Json | None = None, **fields: str
    ) -> httpx.Response:
        fields = {"consent": "1", "guest": str(uuid.uuid4()), "point": "0.5,0.5"} | fields
        return httpx.post(
            f"{self.stack.process_url}/search",
            data={name: value for name, value in fields.items() if value},
            files=[("image", ("me.jpg", data, "image/jpeg")) for data in pictures],
            headers={"Authorization": f"Search {token}"} | (headers or {}),
            timeout=60,
            trust_env=False,
        )

    def again(self, search_id: str, token: str, guest: str) -> httpx.Response:
        """Today's answer of a search that was made."""
        headers = {"Authorization": f"Search {token}", "X-Memoria-Guest": guest}
        url = f"{self.stack.process_url}/search/{search_id}"
        return httpx.get(url, headers=headers, trust_env=False)

    def revoke(self, token: str) -> None:
        """End the link of a token."""
        (link,) = sql(
            self.stack,
            "select id from memoria.search_links where token_hash = sha256(%s)",
            token.encode(),
        )
        self.client.rpc("memoria_revoke_search_link", {"p_link_id": str(link[0])}).execute()


def sql(stack: Stack, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Past every function, as the owner of the schema."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        done = connection.execute(statement, values)  # type: ignore[arg-type]
        return done.fetchall() if done.description else []


def bare_event(stack: Stack, *, grouped: bool = False) -> str:
    """An event without photos."""
    event = f"bare {uuid.uuid4()}"
    stack.client().rpc("memoria_create_event", {"p_event_id": event}).execute()
    if grouped:
        sql(stack, "update memoria.events set clustered_at = now() where id = %s", event)
    return event


def bare_face(
    stack: Stack, event: str, *, vector: F32 = ONE_VECTOR, model: str = SMALL_PACK.name
) -> str:
    """A photo with one loose face -> the photo's id."""
    media = str(uuid.uuid4())
    sql(
        stack,
        "with photo as (insert into memoria.media (id, event_id, bucket, path, status)"
        " values (%s, %s, 'photos', %s, 'completed') returning *) insert into memoria.faces"
        " (id, event_id, media_id, media_number, x, y, w, h, landmarks, score, quality, model,"
        " embedding) select gen_random_uuid(), event_id, id, number, 0.1, 0.1, 0.2, 0.2,"
        " array_fill(0.5::real, array[10]), 0.9, 0.9, %s, %s from photo",
        media, event, media, model, vector_text(vector),
    )  # fmt: skip
    return media


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def jpeg(image: Any) -> bytes:
    """(h, w, 3) uint8 BGR -> a file."""
    return cv2.imencode(".jpg", image)[1].tobytes()


def turned(data: bytes, degrees: float) -> bytes:
    """The picture, held askew."""
    image = Image.open(io.BytesIO(data)).rotate(degrees, resample=Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def small(data: bytes) -> bytes:
    """The picture 60 pixels high, on a grey page: a face of 30 pixels."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    scale = 60 / image.shape[0]
    canvas = np.full((240, 240, 3), 128, np.uint8)
    scaled = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas[90 : 90 + scaled.shape[0], 90 : 90 + scaled.shape[1]] = scaled
    return jpeg(canvas)
