"""Which weights a pack holds, and how they get here: once, checked, never while serving.

InsightFace publishes no digests. Those below are SHA-256 as recorded by others, each by at least
two: buffalo_l in yakhyo/uniface (``uniface/constants.py``) and visomaster/VisoMaster
(``app/processors/models_data.py``); buffalo_s in uniface and in immich-app/buffalo_s on Hugging
Face; det_2.5g in immich-app/buffalo_m, glintr100 in DIAMONIK7777/antelopev2, both also pinned by
several projects that fetch the release itself. InsightFace licenses these weights for
non-commercial research only.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from memoria.errors import MemoriaError

RELEASES = "https://github.com/deepinsight/insightface/releases/download/v0.7"
PATIENCE_S = 10.0  # to connect, and between two chunks

Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: unknown)


class WeightsUnavailable(MemoriaError):
    """The pack is not here and cannot be fetched, or its bytes are not the known ones."""

    code = "weights_unavailable"


@dataclass(frozen=True, slots=True)
class Pack:
    """The two files of an InsightFace pack that find and recognise faces: name -> SHA-256."""

    detector: tuple[str, str]
    recogniser: tuple[str, str]

    @property
    def files(self) -> dict[str, str]:
        """Name -> SHA-256 of the files to fetch."""
        return dict((self.detector, self.recogniser))


_DET_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_DET_2_5G = "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9"
_DET_500M = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_W600K_R50 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
_W600K_MBF = "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"
_GLINTR100 = "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"

PACKS = {
    "buffalo_l": Pack(("det_10g.onnx", _DET_10G), ("w600k_r50.onnx", _W600K_R50)),
    "buffalo_m": Pack(("det_2.5g.onnx", _DET_2_5G), ("w600k_r50.onnx", _W600K_R50)),
    "buffalo_s": Pack(("det_500m.onnx", _DET_500M), ("w600k_mbf.onnx", _W600K_MBF)),
    "buffalo_sc": Pack(("det_500m.onnx", _DET_500M), ("w600k_mbf.onnx", _W600K_MBF)),
    "antelopev2": Pack(("scrfd_10g_bnkps.onnx", _DET_10G), ("glintr100.onnx", _GLINTR100)),
}


@dataclass(frozen=True, slots=True)
class PackFiles:
    """Where a pack's detector and recogniser lie."""

    detector: Path
    recogniser: Path


def locate(folder: Path, pack: str = "") -> PackFiles:
    """The detector and the recogniser among a folder's ``.onnx`` files.

    Known packs by name, any other as insightface does (``model_zoo.ModelRouter``): five or more
    outputs detect; square inputs of 112 pixels and more recognise; the first of each kind, by
    name, counts. Raises WeightsUnavailable when one of the two is missing.
    """
    known = PACKS.get(pack)
    if known and all((folder / name).is_file() for name in known.files):
        return PackFiles(folder / known.detector[0], folder / known.recogniser[0])
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.onnx")):
        found.setdefault(_kind(path), path)
    if "detector" in found and "recogniser" in found:
        return PackFiles(found["detector"], found["recogniser"])
    raise WeightsUnavailable(f"no detector and recogniser among the .onnx files of {folder.name}/")


def find_or_fetch(pack: str, dest: Path, *, progress: Progress | None = None) -> Path:
    """The folder ``dest`` with the pack's two files, fetched from InsightFace's release if missing.

    What is there is checked too, and fetched again when its bytes are not the known ones. Raises
    WeightsUnavailable for an unknown pack, without a network (within seconds), or for wrong bytes.
    """
    import tempfile  # not for those who only open what is there: a tenth of a second, all in all

    wanted = _known(pack).files
    if all(_intact(dest / name, digest) for name, digest in wanted.items()):
        return dest
    dest.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as archive:
        _download(f"{RELEASES}/{pack}.zip", archive, progress)
        _unpack(archive, wanted, dest)
    return dest


def fetch_from_bucket(source: str, pack: str, dest: Path) -> Path:
    """The pack's two files from your own copy, ``gs://bucket/prefix``, checked all the same."""
    from google.cloud import storage

    bucket_name, _, prefix = source.removeprefix("gs://").partition("/")
    bucket = storage.Client().bucket(bucket_name)
    dest.mkdir(parents=True, exist_ok=True)
    for name, digest in _known(pack).files.items():
        blob = bucket.blob("/".join(filter(None, (prefix.strip("/"), name))))
        with blob.open("rb") as stream:
            _write(stream, dest / name, digest)
    return dest


def _known(pack: str) -> Pack:
    if pack not in PACKS:
        raise WeightsUnavailable(f"unknown pack {pack!r}: known are {', '.join(sorted(PACKS))}")
    return PACKS[pack]


def _kind(path: Path) -> str:
    from memoria.packs.session import open_session

    session = open_session(path, threads=1)
    if len(session.get_outputs()) >= 5:
        return "detector"
    *_, height, width = session.get_inputs()[0].shape
    square = isinstance(height, int) and height == width
    return "recogniser" if square and height >= 112 and height % 16 == 0 else "other"


def _intact(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == digest


def _download(url: str, into: IO[bytes], progress: Progress | None) -> None:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:  # noqa: S310 - https
            total = int(response.headers.get("content-length") or 0)
            for chunk in iter(lambda: response.read(1 << 20), b""):
                into.write(chunk)
                if progress:
                    progress(into.tell(), total)
    except (urllib.error.URLError, OSError) as exc:
        reason = getattr(exc, "reason", exc)
        raise WeightsUnavailable(f"cannot fetch {url.rpartition('/')[2]}: {reason}") from exc


def _unpack(archive: IO[bytes], wanted: dict[str, str], dest: Path) -> None:
    import zipfile

    try:
        with zipfile.ZipFile(archive) as pack:
            members = {Path(name).name: name for name in pack.namelist()}
            for name, digest in wanted.items():
                with pack.open(members[name]) as stream:
                    _write(stream, dest / name, digest)
    except (zipfile.BadZipFile, KeyError) as exc:
        raise WeightsUnavailable(f"the archive is not the expected pack: {exc}") from exc


def _write(stream: IO[bytes], path: Path, digest: str) -> None:
    """Stream to a neighbour, check, rename: a reader never sees half a file or a wrong one."""
    partial = path.with_name(path.name + ".part")
    seen = hashlib.sha256()
    try:
        with partial.open("wb") as out:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                seen.update(chunk)
                out.write(chunk)
        if seen.hexdigest() != digest:
            raise WeightsUnavailable(f"{path.name}: SHA-256 is {seen.hexdigest()}, not {digest}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> int:
    """``python -m memoria.packs.weights DEST [--pack buffalo_l] [--from gs://bucket/prefix]``."""
    import argparse

    parser = argparse.ArgumentParser(prog="memoria.packs.weights", description=main.__doc__)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--pack", default="buffalo_l", choices=sorted(PACKS))
    parser.add_argument("--from", dest="source", default="", metavar="gs://BUCKET/PREFIX")
    args: Any = parser.parse_args(argv)
    try:
        if args.source:
            fetch_from_bucket(args.source, args.pack, args.dest)
        else:
            find_or_fetch(args.pack, args.dest)
    except WeightsUnavailable as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(f"{args.pack}: {', '.join(PACKS[args.pack].files)} in {args.dest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
