"""Which files of a folder are the pack's detector and recogniser, and what is known of them."""

from dataclasses import dataclass
from pathlib import Path

from memoria.packs.catalogue import PACKS
from memoria.packs.pack import Pack, WeightsUnavailable


@dataclass(frozen=True, slots=True)
class PackFiles:
    """Where a pack's detector and recogniser lie."""

    detector: Path
    recogniser: Path
    pack: Pack | None = None  # None: a pack that the catalogue does not know


def pack_name(folder: Path) -> str:
    """The name of the pack in a folder, by which its vectors are kept: that of no link to it."""
    return folder.resolve().name


def locate(folder: Path, pack: str = "") -> PackFiles:
    """The detector and the recogniser among a folder's ``.onnx`` files.

    Known packs by name, any other as insightface does (``model_zoo.ModelRouter``): five or more
    outputs detect; square inputs of 112 pixels and more recognise; the first of each kind, by
    name, counts. Raises WeightsUnavailable when one of the two is missing.
    """
    known = PACKS.get(pack)
    if known and all((folder / network.file).is_file() for network in known.networks):
        return PackFiles(folder / known.detector.file, folder / known.recogniser.file, known)
    if not folder.is_dir():
        raise WeightsUnavailable(f"MODEL_DIR: there is no folder {folder}")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.onnx")):
        found.setdefault(_kind(path), path)
    if "detector" in found and "recogniser" in found:
        return PackFiles(found["detector"], found["recogniser"])
    raise WeightsUnavailable(f"no detector and recogniser among the .onnx files of {folder.name}/")


def _kind(path: Path) -> str:
    from memoria.packs.session import open_session

    session = open_session(path, threads=1)
    if len(session.get_outputs()) >= 5:
        return "detector"
    shapes = [source.shape for source in session.get_inputs()]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        return "other"
    *_, height, width = shapes[0]
    square = isinstance(height, int) and height == width
    return "recogniser" if square and height >= 112 and height % 16 == 0 else "other"
