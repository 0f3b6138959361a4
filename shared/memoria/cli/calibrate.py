"""``memoria calibrate``: measure a model's thresholds on your own labelled photos."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memoria.cli.inputs import text_of
from memoria.errors import InvalidRequest

if TYPE_CHECKING:
    from memoria.arrays import F32
    from memoria.clustering.thresholds import Thresholds

_DESCRIPTION = """
Measures which similarities mean the same person, for any model pack, on photos you know.

LABELS is a JSON object of file name -> person, for photos of one person (the face nearest to the
centre counts), or {"photos": {...}} with such an object. A thousand pairs of different people are
the least: 50 photos of a dozen people are a start, 500 are good. Nothing leaves this machine.
"""


def add_parser(subparsers: Any) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "calibrate",
        help="measure a model's thresholds on labelled photos",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS_DIR")
    parser.add_argument("--labels", type=Path, required=True, metavar="LABELS")
    parser.add_argument("--model-dir", type=Path, required=True, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Print the thresholds, as JSON and as the setting that applies them. Returns the status."""
    import numpy as np

    from memoria.clustering.thresholds import thresholds_from_pairs

    try:
        labels = _labels(args.labels)
        people, vectors, model = _embedded(args.photos, labels, args.model_dir)
        similarities = vectors @ vectors.T
        pairs = np.triu_indices(len(people), 1)
        same = (people[:, None] == people)[pairs]
        values = similarities[pairs]
        source = f"memoria calibrate, {len(people)} photos of {len(set(people))} people"
        measured = thresholds_from_pairs(values[same], values[~same], source=source)
        search = _search_rule(model, measured, vectors, people, source)
    except ValueError as problem:
        sys.stderr.write(f"memoria: {problem}\n")
        return 2
    sys.stdout.write(json.dumps({model: asdict(measured)}, indent=2) + "\n")
    sys.stderr.write(
        "the setting that makes the function cluster use them:\n"
        f"SIMILARITY_THRESHOLDS={model}:{measured.sure}:{measured.link}\n"
        "and the one for selfie search:\n"
        f"{search}\n"
    )
    return 0


def _search_rule(
    model: str, measured: "Thresholds", vectors: "F32", people: Any, source: str
) -> str:
    """The line of SEARCH_THRESHOLDS, or why there is none."""
    from memoria.search.calibration import calibrated
    from memoria.search.rules import measured_rule

    try:
        rule = calibrated(measured_rule(model, measured), vectors, people, source)
    except ValueError as problem:
        return f"none: {problem}"
    return f"SEARCH_THRESHOLDS={model}:{rule.demand}:{rule.slope}"


def _labels(path: Path) -> dict[str, str]:
    try:
        read = json.loads(text_of(path))
    except (json.JSONDecodeError, RecursionError) as trouble:
        raise InvalidRequest(f"{path} is no JSON: {trouble}") from trouble
    photos = read.get("photos", read) if isinstance(read, dict) else None
    if not isinstance(photos, dict):
        raise ValueError("the labels are no object of file name -> person")  # noqa: TRY004
    alone = {
        name: who[0] if isinstance(who, list) and who else who
        for name, who in photos.items()
        if not isinstance(who, list) or len(who) == 1
    }
    return {str(name): str(who) for name, who in alone.items()}


def _embedded(folder: Path, labels: dict[str, str], model_dir: Path) -> tuple[Any, Any, str]:
    """Who, and the unit vector of the face nearest to the centre, of every photo that has one."""
    import numpy as np

    from memoria.errors import Terminal
    from memoria.faces import find_faces_in_photo, open_engine
    from memoria.faces.types import nearest_to_centre

    engine = open_engine(model_dir)
    people, vectors = [], []
    for name, who in labels.items():
        try:
            faces = find_faces_in_photo(engine, (folder / name).read_bytes())[0]
        except (Terminal, OSError) as problem:
            sys.stderr.write(f"{name}: {problem}\n")
            continue
        if faces:
            people.append(who)
            vectors.append(nearest_to_centre(faces).embedding)
    if not vectors:
        raise ValueError("no face was found in any labelled photo")
    return np.array(people), np.stack(vectors), engine.model
