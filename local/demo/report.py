"""What a run tells on the terminal: what it left out, who was found, what a search finds."""

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.demo.event import Json
from local.demo.folders import Found
from local.demo.sums import numbered, why_nobody
from local.demo.system import limits
from memoria.cli.terminal import plain
from memoria.media.names import counted


def show(answer: Json, out: Path, console: Console) -> None:
    """The people on the terminal, and where the rest is."""
    table = Table("person", "faces", "photos", "quality", title="People", title_justify="left")
    for number, person in enumerate(answer["people"], start=1):
        photos = person["photos"]
        listed = ", ".join(photos[:4]) + (f" and {len(photos) - 4} more" if len(photos) > 4 else "")
        quality = f"{person['avg_quality']:.2f}" if person["face_count"] else ""
        # a Text: what stands in a file's or person's name is no markup, and no escape
        who = Text(plain(person["name"] or str(number)))
        table.add_row(who, str(person["face_count"]), Text(plain(listed)), quality)
    if answer["people"]:
        console.print(table)
    faces = [face for photo in answer["photos"].values() for face in photo["faces"]]
    alone = sum(face["person_id"] is None for face in faces)
    failed = {n: p["error"]["message"] for n, p in answer["photos"].items() if "error" in p}
    people = numbered(len(answer["people"]), "person", "people")
    unlike = f", {alone} of them not assigned to a person" if faces else ""
    photos = numbered(len(answer["photos"]), "photo") + (
        f", {len(failed)} of them failed" if failed else ""
    )
    model = f"model {answer['model']}"
    console.print(f"{people}, {numbered(len(faces), 'face')}{unlike}, {photos}, {model}")
    if reason := why_nobody(answer, limits(os.environ).min_cluster_size):
        console.print(reason, style="yellow")
    for name, message in failed.items():
        console.print(Text.assemble((plain(name), "red"), f": {plain(message)}"))
    places = f"{out / 'people.json'}\n{out / 'index.html'}"
    console.print(places, style="bold", markup=False, soft_wrap=True)


def show_search(searched: Json | None, console: Console) -> None:
    """What a guest's search finds."""
    if searched is None:
        return
    who = f"{plain(searched['person'])}, cut out of {plain(searched['photo'])}"
    what = searched.get("error") or f"{searched['found']} photos found"
    console.print(Text(f"find my photos: with the face of {who}, as the selfie: {what}"))


def left_out(found: Found, console: Console) -> None:
    """Say what of the folder is not looked at."""
    if found.copies:
        copy, first = next(iter(found.copies.items()))
        more = f", and {len(found.copies) - 1} more" if len(found.copies) > 1 else ""
        console.print(Text(plain(f"copies left out: {copy} is {first}{more}"), "dim"))
    if found.others:
        endings = counted(found.others)
        console.print(Text(plain(f"files left out, no photos by their names: {endings}"), "dim"))
    for name, reason in found.refused.items():
        console.print(Text.assemble((f"{plain(name)} is left out", "red"), f": {reason}"))
