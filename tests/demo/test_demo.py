"""``make demo``, end to end: real functions over HTTP, real migrations, the same webhooks."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.grouping_scores import scores

ROOT = Path(__file__).parents[2]
EVERY_PERSON = int(os.environ.get("EVERY_PERSON", "9"))  # of the portraits; 1 takes minutes


def demo(state: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    known = {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "local.demo", *arguments],
        env=os.environ | known | {"MEMORIA_STATE": str(state)} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def by_centre(faces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(faces, key=lambda face: face["bbox"]["x"] + face["bbox"]["w"] / 2)


def offline(folder: Path) -> dict[str, str]:
    """An environment in which nothing was ever fetched, and no web server can be reached."""
    nowhere = "http://127.0.0.1:9"
    proxies = {"https_proxy": nowhere, "HTTPS_PROXY": nowhere, "http_proxy": "", "HTTP_PROXY": ""}
    return {"XDG_CACHE_HOME": str(folder / "cache"), "MODEL_DIR": "", "MODEL_PACK": ""} | proxies


def answer_of(done: subprocess.CompletedProcess[str], out: Path) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((out / "people.json").read_text())
    assert {photo["status"] for photo in found["photos"].values()} == {"completed"}
    return found


def check_eight_people(answer: dict[str, Any], labels: dict[str, list[str]]) -> None:
    assert answer["photos"].keys() == labels.keys()
    assert len(answer["people"]) == 8
    names_of_person, persons_of_name = defaultdict(set), defaultdict(set)
    for name, photo in answer["photos"].items():
        assert len(photo["faces"]) == len(labels[name])
        for face, label in zip(by_centre(photo["faces"]), labels[name], strict=True):
            if label.startswith("stranger"):
                assert face["person_id"] is None  # a bystander, seen once
            else:
                assert face["person_id"], (name, label)
                names_of_person[face["person_id"]].add(label)
                persons_of_name[label].add(face["person_id"])
    assert all(len(names) == 1 for names in names_of_person.values()), names_of_person
    assert all(len(persons) == 1 for persons in persons_of_name.values()), persons_of_name
    assert len(persons_of_name) == 8


@pytest.mark.slow
def test_the_sitcom_event_gives_its_eight_people(
    state: Path, sitcom: Path, pack: Path, tmp_path: Path
):
    done = demo(state, "--photos", str(sitcom), "--out", str(tmp_path), MODEL_DIR=str(pack))
    answer = answer_of(done, tmp_path)
    assert answer["model"] == pack.name
    check_eight_people(answer, json.loads((sitcom / "labels.json").read_text())["photos"])
    for person in answer["people"]:
        faces = [
            face
            for photo in answer["photos"].values()
            for face in photo["faces"]
            if face["person_id"] == person["person_id"]
        ]
        assert person["face_count"] == len(faces)
        assert person["representative_face_id"] in {face["face_id"] for face in faces}
        assert 0 < person["avg_quality"] <= 1
        assert person["photos"] == sorted(person["photos"])
    assert sorted(person["cluster_label"] for person in answer["people"]) == list(range(8))
    assert "8 people" in done.stdout
    told = " ".join(done.stdout.split())
    found = re.search(r"the face of person (\d+), .* as the selfie: (\d+) photos found", told)
    assert found, told
    # a selfie finds nearly all: those beyond doubt
    assert int(found[2]) >= answer["people"][int(found[1]) - 1]["face_count"] - 2


@pytest.mark.slow
def test_without_a_network_the_sitcom_event_gives_its_eight_people_too(
    state: Path, sitcom: Path, offline_pack: Path, tmp_path: Path
):
    done = demo(state, "--photos", str(sitcom), "--out", str(tmp_path), **offline(tmp_path))
    answer = answer_of(done, tmp_path)
    assert answer["model"] == offline_pack.name
    check_eight_people(answer, json.loads((sitcom / "labels.json").read_text())["photos"])


def some_people(portraits: Path) -> dict[str, str]:
    """Photo -> who it is of: every n-th person with all their photos, and of those seen once."""
    labels: dict[str, str] = json.loads((portraits / "labels.json").read_text())["photos"]
    chosen = set(sorted(set(labels.values()))[::EVERY_PERSON])
    return {name: person for name, person in labels.items() if person in chosen}


@pytest.mark.slow
def test_without_a_network_the_portraits_are_grouped_well(
    state: Path, portraits: Path, offline_pack: Path, tmp_path: Path
):
    labels, folder, out = some_people(portraits), tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for name in labels:
        shutil.copy(portraits / name, folder)
    done = demo(state, "--photos", str(folder), "--out", str(out), **offline(tmp_path))
    answer = answer_of(done, out)
    assert answer["model"] == offline_pack.name
    who, group = [], []
    for number, (name, person) in enumerate(labels.items()):
        faces = answer["photos"][name]["faces"]
        if faces:  # the portrait is the face in the middle
            middle = min(faces, key=lambda face: _off_centre(face["bbox"]))
            who.append(person)
            group.append(middle["person_id"] or f"nobody {number}")
    assert len(who) >= 0.99 * len(labels)
    found, people = (np.unique(names, return_inverse=True)[1] for names in (group, who))
    assert scores(found, people).bcubed >= 0.95


def _off_centre(box: dict[str, float]) -> float:
    return abs(box["x"] + box["w"] / 2 - 0.5) + abs(box["y"] + box["h"] / 2 - 0.5)


@pytest.mark.slow
def test_without_arguments_and_without_a_network_six_people_are_found(
    state: Path, offline_pack: Path, tmp_path: Path
):
    done = demo(state, "--out", str(tmp_path / "out"), **offline(tmp_path))
    answer = answer_of(done, tmp_path / "out")
    told = " ".join(done.stdout.split())
    assert "buffalo_l cannot be had" in told
    assert "yunet_sface1_int8 is used instead." in told
    stages = ("making a sample", "starting PostgreSQL", "looking at 14 photos", "writing the")
    places = [told.find(stage) for stage in stages]  # nobody sees bars here
    assert min(places) >= 0
    assert places == sorted(places)
    assert answer["model"] == offline_pack.name
    assert len(answer["people"]) == 6
    assert all(person["face_count"] >= 3 for person in answer["people"])
    page = (tmp_path / "out" / "index.html").read_text()
    assert len(re.findall(r"<figure ", page)) == len(answer["photos"])


def test_an_unknown_wish_for_the_app_is_told_in_one_sentence(state: Path, tmp_path: Path):
    done = demo(state, "--out", str(tmp_path / "out"), APP="false")
    assert done.returncode == 1
    assert done.stdout == "APP: no, or nothing, not false. APP=no serves no app.\n"
    assert not (tmp_path / "out").exists()


def test_an_unknown_pack_is_told_in_one_sentence(state: Path, tmp_path: Path):
    done = demo(state, "--out", str(tmp_path), MODEL_DIR="", MODEL_PACK="buffalo_xl")
    assert done.returncode == 1
    assert "unknown pack 'buffalo_xl': known are" in " ".join(done.stdout.split())


def test_a_folder_without_photos_is_told_in_one_sentence(state: Path, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("no photo")
    done = demo(state, "--photos", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "There are no photos in" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_pack_that_is_none_ends_with_a_reason(state: Path, tmp_path: Path, sitcom: Path):
    done = demo(
        state, "--photos", str(sitcom), "--out", str(tmp_path / "out"), MODEL_DIR=str(tmp_path)
    )
    assert done.returncode == 1
    assert "no detector and recogniser" in " ".join(done.stdout.split())
