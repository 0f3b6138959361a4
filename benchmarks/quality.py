"""Fit and judge quality_score: ``python -m benchmarks.quality [PHOTOS_DIR MODEL_DIR]``.

What is shipped is fitted on one half of the people, clean and damaged. Every figure is of faces
judged by a fit on the half that they are not in.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from sklearn.linear_model import LogisticRegression

from memoria.arrays import F32, Image
from memoria.faces import Engine, open_engine
from memoria.faces.crops import aligned_crop
from memoria.faces.geometry import Detections, crop_transforms
from memoria.faces.quality import FEATURES, features
from memoria.media import decode_image

SHARED = Path(__file__).parents[2] / "shared"
SAME = 0.4  # cosine to one's own person's mean from which a face counts as recognised


def damaged(image: Image, rng: np.random.Generator) -> Image:
    """Smaller, blurred, noisy or compressed, as a guest's messenger would."""
    kind, strength = rng.integers(4), rng.uniform(0.2, 1)
    result: NDArray[Any] = image.astype(np.float32)
    if kind == 0:
        scale = 0.5 * (1 - strength) + 0.08 * strength
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)
    if kind == 1:
        result = cv2.GaussianBlur(result, (0, 0), 0.5 + 5 * strength)
    if kind == 2:
        result = result * (1 - 0.7 * strength) + rng.normal(0, 35 * strength, image.shape)
    if kind == 3:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(30 - 27 * strength)])
        result = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
    return np.asarray(np.clip(result, 0, 255), np.uint8)


def central(engine: Engine, image: Image) -> tuple[F32, F32] | None:
    """The features and the unit vector of the face nearest the centre."""
    found: Detections = engine.detect(image)
    if not len(found):
        return None
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - np.array(image.shape[1::-1]) / 2
    found = found.take(np.array([np.linalg.norm(middle, axis=1).argmin()]))
    crops = [aligned_crop(image, crop_transforms(found.landmarks)[0])]
    raw = engine.recogniser.embed(np.stack(crops))
    norms = np.linalg.norm(raw, axis=1)
    return features(found, crops, norms, engine.model)[0], raw[0] / norms[0]


def collected(engine: Engine, folder: Path, copies: int) -> tuple[F32, F32, NDArray[np.str_], F32]:
    """Features, similarity to one's own person, person and whether damaged, of every face."""
    labels: dict[str, str] = json.loads((folder / "labels.json").read_text())["photos"]
    names = [n for n in labels if sum(p == labels[n] for p in labels.values()) > 1]
    rng = np.random.default_rng(0)
    rows: list[tuple[F32, F32, str, str, bool]] = []
    for name in names:
        image = decode_image((folder / name).read_bytes())
        for version in [image] + [damaged(image, rng) for _ in range(copies)]:
            seen = central(engine, version)
            if seen:
                rows.append((*seen, labels[name], name, version is not image))
    clean = {(row[2], row[3]): row[1] for row in rows if not row[4]}
    kept, similar = [], []
    for row in rows:
        others = [v for (person, photo), v in clean.items() if person == row[2] and photo != row[3]]
        if others:
            mean = np.mean(others, axis=0)
            kept.append(row)
            similar.append(float(row[1] @ mean / np.linalg.norm(mean)))
    return (
        np.stack([row[0] for row in kept]),
        np.array(similar, np.float32),
        np.array([row[2] for row in kept]),
        np.array([row[4] for row in kept], np.float32),
    )


def report(name: str, values: NDArray[Any], similar: F32) -> None:
    """Similarity by quintile, and what rejecting the worst tenth removes of the failures."""
    order = np.argsort(values, kind="stable")
    bins = [float(similar[part].mean()) for part in np.array_split(order, 5)]
    rejected = order[: len(order) // 10]
    failed = similar < SAME
    rest = np.setdiff1d(np.arange(len(order)), rejected)
    print(
        f"{name:26} by quintile {' '.join(f'{b:.3f}' for b in bins)}"
        f"   failures: {failed.mean():.3f} before, {failed[rest].mean():.3f} without the worst 10 %"
    )


def _fitted(x: F32, similar: F32, columns: int) -> NDArray[np.float64]:
    """Weights of the first columns, and the bias, of the logit of being recognised.

    The similarity is fitted by least squares, better scores never lowering it and worse poses
    never raising it; one logistic curve turns it into a chance.
    """
    never, any_sign = 0.0, np.inf
    low = [never, -any_sign, -any_sign, -any_sign, never, never, -any_sign]
    high = [any_sign, never, never, never, any_sign, any_sign, any_sign]
    table = np.hstack([x * (np.arange(x.shape[1]) < columns), np.ones((len(x), 1))])
    line = lsq_linear(table, similar, (low, high)).x
    curve = LogisticRegression(C=100).fit((table @ line)[:, None], similar >= SAME)
    weights: NDArray[np.float64] = line * curve.coef_[0, 0]
    weights[columns:-1] = 0
    weights[-1] += curve.intercept_[0]
    return weights


def _held_out(x: F32, similar: F32, first: NDArray[np.bool_], columns: int) -> NDArray[np.float64]:
    """The logit of each face, from the fit on the half of the people that it is not in."""
    logits = np.empty(len(x))
    for here in (first, ~first):
        weights = _fitted(x[~here], similar[~here], columns)
        logits[here] = x[here] @ weights[:-1] + weights[-1]
    return logits


def main(folder: Path, model_dir: Path) -> None:
    """Print the fit and the figures."""
    engine = open_engine(model_dir)
    x, similar, person, is_damaged = collected(engine, folder, copies=2)
    people = np.unique(person)
    first = np.isin(person, people[::2])
    print("usual length, relative to the one in use:", np.exp(np.median(x[is_damaged == 0, 5])))
    for kind, columns in (("all", 6), ("without length", 5)):
        weights = _fitted(x[first], similar[first], columns)
        print(f"{kind}: bias {weights[-1]:.2f}")
        for name, weight in zip(FEATURES, weights, strict=False):
            print(f"  {name:20} {weight:8.2f}")
    judged: dict[str, NDArray[Any]] = {
        "quality": _held_out(x, similar, first, 6),
        "quality without length": _held_out(x, similar, first, 5),
        "the detector's score": x[:, 0],
    }
    for title, of in (("clean", is_damaged == 0), ("clean and damaged", is_damaged >= 0)):
        print(f"{title}: {of.sum()} faces of {len(people)} people")
        for name, values in judged.items():
            report(f"  {name}", values[of], similar[of])


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    defaults = [SHARED / "events/portraits", SHARED / "models/scrfd2.5g_mobilefacenet"]
    main(*(given or defaults))
