"""The demo's last word: one of the event's faces, cut out, finds its photos as a selfie would."""

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from local.demo.event import Json
from local.demo.pictures import frame_of
from local.processes.stack import Stack
from memoria.cli.search import ask
from memoria.errors import MemoriaError

MARGIN = 0.6  # around the face, in boxes: a detector wants to see a head


def search_for(answer: Json, photos: Mapping[str, Path], stack: Stack) -> Json | None:
    """What a search with the face of somebody whom these photos show finds; None without one.

    ``answer`` is ``people.json``. -> ``{"photo", "person", "found"}``: whose face in which photo,
    by number or name, and how many photos were found, or ``{"photo", "person", "error"}``.
    """
    chosen = _best_face(answer, photos)
    if chosen is None:
        return None
    person, name, face = chosen
    fields = {"event_id": answer["event_id"], "consent": "1", "point": "0.5,0.5"}
    try:
        selfie = _cut_out(photos[name], face["bbox"])
    except MemoriaError as error:  # too large for a decoder, perhaps
        return {"photo": name, "person": person, "error": error.message}
    told = ask(stack.process_url, stack.webhook_secret, fields, [selfie]).json()
    if "error" in told:
        return {"photo": name, "person": person, "error": told["error"]["message"]}
    found = {photo["media_id"] for match in told["matches"] for photo in match["photos"]}
    return {"photo": name, "person": person, "found": len(found)}


def _best_face(answer: Json, photos: Mapping[str, Path]) -> tuple[str, str, Json] | None:
    """The best face that stands for anybody, of photos that are there: whose, photo, face.

    A blurred one finds little, as a blurred selfie does.
    """
    faces = {
        face["face_id"]: (name, face)
        for name, photo in answer["photos"].items()
        if "error" not in photo and photos[name].exists()
        for face in photo["faces"]
    }
    shown = [
        (person["name"] or f"person {number}", *faces[best])
        for number, person in enumerate(answer["people"], start=1)
        if (best := person["representative_face_id"]) in faces
    ]
    return max(shown, key=lambda one: one[2]["quality_score"], default=None)


def _cut_out(photo: Path, box: Mapping[str, float]) -> bytes:
    image = Image.fromarray(frame_of(photo.read_bytes()))
    width, height = image.size
    left, top = (box["x"] - MARGIN * box["w"]) * width, (box["y"] - MARGIN * box["h"]) * height
    right = (box["x"] + (1 + MARGIN) * box["w"]) * width
    bottom = (box["y"] + (1 + MARGIN) * box["h"]) * height
    out = io.BytesIO()
    image.crop((round(left), round(top), round(right), round(bottom))).save(out, "JPEG", quality=90)
    return out.getvalue()
