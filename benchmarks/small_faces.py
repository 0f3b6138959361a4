"""Recall against the size of faces and the cost, in large photos, long ones and collages.

    python -m benchmarks.small_faces [--rounds N] [--tuning]

Prints one row per figure; exits with 1 when one is not reached. The photos are made: faces of the
test data on textured grounds (``benchmarks.scenes``).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.faceless import KINDS, LARGE, Size
from benchmarks.find_faces import PACK, SAME, SAME_PLACE, Meter, Table
from benchmarks.scenes import JUDGING, TUNING, Cast, Picture, cast, collage, scene
from memoria.arrays import Image
from memoria.faces import Engine, Face, find_faces_in_photo, open_engine
from memoria.faces.search import SmallFaces
from memoria.packs.folder import locate
from memoria.packs.session import open_session

Modes = dict[SmallFaces, tuple[Engine, Meter]]

SIZES = ((3000, 4000), (4000, 6000), (6000, 8000))  # 12, 24 and 48 megapixels: height, width
LONG_SIZES = ((2000, 20000), (12000, 1170), (3800, 16000))
SHARES = (0.01, 0.015, 0.02, 0.03, 0.05)  # of the shorter side, that a face is large
LONG_SHARE = 0.05
PROMISED: dict[SmallFaces, float] = {"auto": 0.02, "thorough": 0.01}  # shares from which on
RECALL, PASSES = 0.95, 2.0
UNLIKE = 0.01  # of the faces of a collage: those under SAME are not always wrongly aligned
CROWD, FEW = 30, 6  # small faces in a photo of a crowd, and behind people near the camera
TILES = range(2, 10)


@dataclass(slots=True)
class Tally:
    """Small faces found, faces where none was pasted, passes of each photo."""

    found: int = 0
    wanted: int = 0
    false: int = 0
    passes: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """0..1"""
        return self.found / self.wanted

    def __str__(self) -> str:
        share = f"{self.found} of {self.wanted} ({self.recall:.1%}), {self.false} others"
        return f"{share}, {np.mean(self.passes):.2f} passes"


def modes(model_dir: Path, threads: int | None = None) -> Modes:
    """An engine of each kind, with a meter."""
    found: Modes = {}
    for mode in PROMISED:
        engine = open_engine(model_dir, small_faces=mode, threads=threads)
        meter = Meter(open_session(locate(model_dir).detector, threads=threads))
        found[mode] = replace(engine, search=replace(engine.search, detector=meter)), meter
    return found


def small_faces(
    kinds: Modes, people: Cast, table: Table, rounds: int, sizes: Sequence[Size] = SIZES
) -> None:
    """Recall and passes by size of face and by mode; the mean passes of auto from 2 % on."""
    rng = np.random.default_rng(3)
    spent: list[float] = []
    for share in SHARES:
        tallies = _measured(kinds, scenes(people, share, rng, rounds, sizes), share)
        for mode, tally in tallies.items():
            promised = share >= PROMISED[mode]
            if mode == "auto" and promised:
                spent += tally.passes
            table.add(
                f"faces of {share:.1%}, {mode}",
                str(tally),
                f"{RECALL:.0%}" if promised else "",
                good=not promised or tally.recall >= RECALL,
            )
    mean = float(np.mean(spent))
    wanted = f"at most {PASSES:g}"
    table.add("mean passes from 2 % on, auto", f"{mean:.2f}", wanted, good=mean <= PASSES)


def scenes(
    people: Cast, share: float, rng: np.random.Generator, rounds: int, sizes: Sequence[Size]
) -> Iterator[Picture]:
    """A crowd, some people behind one to six others, and a group far away, in each size."""
    for size in sizes:
        for _ in range(rounds):
            near = _some(rng, people.singles, int(rng.integers(1, 7)))
            group = people.groups[rng.integers(len(people.groups))]
            yield scene(rng, size, [], _some(rng, people.singles, CROWD), share)
            yield scene(rng, size, near, _some(rng, people.singles, FEW), share)
            yield scene(rng, size, [], [group], share)


def long_photos(kinds: Modes, people: Cast, table: Table, rounds: int) -> None:
    """People in panoramas and screenshots, faces of 5 % of the shorter side."""
    rng = np.random.default_rng(4)
    auto: Modes = {"auto": kinds["auto"]}
    for size in LONG_SIZES:
        crowds = (_some(rng, people.singles, CROWD) for _ in range(rounds))
        photos = (scene(rng, size, [], crowd, LONG_SHARE) for crowd in crowds)
        tally = _measured(auto, photos, LONG_SHARE)["auto"]
        name = f"{size[1]} × {size[0]}, faces of {LONG_SHARE:.0%}"
        table.add(name, str(tally), f"{RECALL:.0%}", good=tally.recall >= RECALL)


def collages(kinds: Modes, people: Cast, table: Table, rounds: int) -> None:
    """Two to nine portraits or groups, each turned some way; nobody's vector is somebody else's."""
    rng = np.random.default_rng(5)
    engine, meter = kinds["auto"]
    for name, pictures in (("portraits", people.singles), ("groups", people.few)):
        hits = total = unlike = 0
        meter.passes = 0.0
        for tiles in [n for n in TILES for _ in range(rounds)]:
            photo = collage(rng, _some(rng, pictures, tiles))
            faces = find_faces_in_photo(engine, _jpeg(photo))[0]
            pairs = _matches(photo, faces)
            hits, total = hits + len(pairs), total + len(photo.boxes)
            unlike += sum(photo.vectors[i] @ faces[j].embedding < SAME for i, j in pairs)
        table.add(
            f"collages of 2 to 9 {name}, turned",
            f"{hits} of {total} ({hits / total:.1%}), {unlike} unlike themselves, "
            f"{meter.passes / (rounds * len(TILES)):.2f} passes",
            f"{RECALL:.0%}, at most {UNLIKE:.0%}",
            good=hits >= RECALL * total and unlike <= UNLIKE * hits,
        )


def faceless(kinds: Modes, table: Table, count: int) -> None:
    """Large photos with nothing to find."""
    for name, make in KINDS.items():
        rng = np.random.default_rng(0)
        faces = dict.fromkeys(kinds, 0)
        for _ in range(count):
            data = _jpeg(_without_faces(make(rng, LARGE)))
            for mode, (engine, _) in kinds.items():
                faces[mode] += len(find_faces_in_photo(engine, data)[0])
        got = ", ".join(f"{number} ({mode})" for mode, number in faces.items())
        table.add(
            f"large, without faces: {name}",
            f"{got} in {count}",
            "none",
            good=not any(faces.values()),
        )


def _some(rng: np.random.Generator, pictures: list[Picture], count: int) -> list[Picture]:
    return [pictures[i] for i in rng.integers(len(pictures), size=count)]


def _without_faces(image: Image) -> Picture:
    return Picture(image, np.empty((0, 4), np.float32), np.empty((0, 512), np.float32))


def _jpeg(photo: Picture) -> bytes:
    done, data = cv2.imencode(".jpg", photo.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    return data.tobytes()


def _measured(kinds: Modes, photos: Iterable[Picture], share: float) -> dict[SmallFaces, Tally]:
    """Who was found of the faces about as large as ``share``, by each kind of engine."""
    tallies = {mode: Tally() for mode in kinds}
    for photo in photos:
        data = _jpeg(photo)
        small = photo.sizes < 2 * share * min(photo.image.shape[:2])
        for mode, (engine, meter) in kinds.items():
            meter.passes = 0.0
            faces = find_faces_in_photo(engine, data)[0]
            pairs = _matches(photo, faces)
            tally = tallies[mode]
            tally.passes.append(meter.passes)
            tally.wanted += int(small.sum())
            tally.found += sum(bool(small[i]) for i, _ in pairs)
            tally.false += len(faces) - len(pairs)
    return tallies


def _matches(photo: Picture, faces: Sequence[Face]) -> list[tuple[int, int]]:
    """Which face of the photo is which found one: their centres lie together."""
    extent = np.array(photo.image.shape[1::-1])
    there = np.reshape([f.box[:2] + f.box[2:] / 2 for f in faces], (-1, 2)) * extent
    centres = photo.boxes.reshape(-1, 2, 2).mean(axis=1)
    apart = np.abs(centres[:, None] - there).max(axis=2) / photo.sizes[:, None]
    pairs = []
    for i in range(len(centres)):
        if len(faces) and apart[i].min() < SAME_PLACE:
            j = int(apart[i].argmin())
            pairs.append((i, j))
            apart[:, j] = np.inf
    return pairs


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.small_faces", description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=PACK)
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="photos of each kind")
    parser.add_argument("--tuning", action="store_true", help="the people constants were tuned on")
    args = parser.parse_args()
    kinds = modes(args.model_dir)
    people = cast(kinds["auto"][0], TUNING if args.tuning else JUDGING)
    table = Table()
    small_faces(kinds, people, table, args.rounds)
    long_photos(kinds, people, table, args.rounds)
    collages(kinds, people, table, args.rounds)
    faceless(kinds, table, 20 * args.rounds)
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
