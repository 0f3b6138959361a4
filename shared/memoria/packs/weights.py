"""How the weights of a pack get into its folder: once, checked, never while serving.

::

    python -m memoria.packs.weights DEST [--pack buffalo_l] [--from gs://bucket/prefix]

A pack whose licence must be accepted is fetched so only with ACCEPT_INSIGHTFACE_LICENSE=yes.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from memoria.packs.catalogue import PACKS, pack_named
from memoria.packs.pack import Network, Pack, WeightsUnavailable

LARGEST_BYTES = 1 << 30  # of one file
STALE_S = 2 * 3600  # longer than any fetch may take: a file half written then is nobody's
ACCEPTED = "ACCEPT_INSIGHTFACE_LICENSE"

if TYPE_CHECKING:
    import zipfile

    from memoria.packs.sources import ReportBytes


def find_or_fetch(name: str, dest: Path, *, progress: "ReportBytes | None" = None) -> Path:
    """The folder ``dest`` with the pack's two networks, fetched from its sources if missing.

    What is there is checked too, and fetched again when its bytes are not the known ones. Raises
    WeightsUnavailable for an unknown pack, without a network (within seconds), or for wrong bytes.
    """
    pack = pack_named(name)
    try:
        missing = [network for network in pack.networks if not _intact(network, dest)]
        if missing:
            _fetch(pack, dest, progress)
        for network in pack.networks:
            _make(network, dest, again=network in missing)
    except OSError as exc:
        raise WeightsUnavailable(f"{name} cannot be kept in {dest}: {exc.strerror}") from exc
    return dest


def fetch_from_bucket(source: str, name: str, dest: Path) -> Path:
    """The pack's two files from your own copy, ``gs://bucket/prefix``, checked all the same.

    Raises WeightsUnavailable as ``find_or_fetch``, and where the bucket gives no access.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption

    pack = pack_named(name)
    try:
        _fetch_blobs(source, pack, dest)
        for network in pack.networks:
            _make(network, dest, again=True)
    except (GoogleAPIError, GoogleAuthError, DataCorruption, OSError, ValueError) as exc:
        raise WeightsUnavailable(f"{name} cannot be brought from {source}: {exc}") from exc
    return dest


def _fetch_blobs(source: str, pack: Pack, dest: Path) -> None:
    from google.cloud import storage

    bucket_name, _, prefix = source.removeprefix("gs://").partition("/")
    bucket = storage.Client().bucket(bucket_name)
    for network in pack.networks:
        file = Path(network.source).name
        blob = bucket.blob("/".join(filter(None, (prefix.strip("/"), file))))
        with blob.open("rb") as stream:
            _write(stream, network, dest)


def _fetch(pack: Pack, dest: Path, progress: "ReportBytes | None") -> None:
    """From the first source that has both files as they must be."""
    problems: list[str] = []
    for source in pack.sources:
        try:
            _fetch_from(source, pack, dest, progress)
        except WeightsUnavailable as problem:
            problems.append(str(problem))
        else:
            return
    raise WeightsUnavailable("; ".join(dict.fromkeys(problems)))


def _fetch_from(
    source: tuple[str, ...], pack: Pack, dest: Path, progress: "ReportBytes | None"
) -> None:
    # not for those who only open what is there: a tenth of a second, all in all
    from memoria.packs.sources import archive, downloaded

    if len(source) == 1:
        with archive(source[0], progress) as packed:
            for network in pack.networks:
                _unpack(packed, network, dest)
        return
    for url, network in zip(source, pack.networks, strict=True):
        if not _intact(network, dest):
            with downloaded(url, progress) as file:
                _write(file, network, dest)


def _unpack(packed: "zipfile.ZipFile", network: Network, dest: Path) -> None:
    from memoria.packs.sources import NO_ARCHIVE

    name = Path(network.source).name
    member = next((each for each in packed.namelist() if Path(each).name == name), None)
    if member is None:
        raise WeightsUnavailable(f"the archive is not the expected pack: it holds no {name}")
    try:
        with packed.open(member) as stream:
            _write(stream, network, dest)
    except NO_ARCHIVE as exc:
        raise WeightsUnavailable(f"the archive is not the expected pack: {exc}") from exc


def _intact(network: Network, dest: Path) -> bool:
    path = dest / network.source
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == network.sha256


def _write(stream: IO[bytes], network: Network, dest: Path) -> None:
    """Stream to a neighbour, check, rename: a reader never sees half a file or a wrong one."""
    path = dest / network.source
    seen = hashlib.sha256()
    with _complete_or_nothing(path) as partial:
        with partial.open("wb") as out:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                seen.update(chunk)
                out.write(chunk)
                if out.tell() > LARGEST_BYTES:
                    raise WeightsUnavailable(f"{path.name}: more than {LARGEST_BYTES} bytes")
        if seen.hexdigest() != network.sha256:
            raise WeightsUnavailable(
                f"{path.name}: SHA-256 is {seen.hexdigest()}, not {network.sha256}"
            )


def _make(network: Network, dest: Path, *, again: bool) -> None:
    """What the engine opens, where that is not the file as published."""
    path = dest / network.file
    if not network.published or (path.is_file() and not again):
        return
    from memoria.packs.dequantised import dequantise

    try:
        with _complete_or_nothing(path) as partial:
            dequantise(dest / network.source, partial)
    except ImportError as exc:
        raise WeightsUnavailable(
            f"{path.name} cannot be made: the package onnx is missing"
        ) from exc


@contextmanager
def _complete_or_nothing(path: Path) -> Iterator[Path]:
    """A name to write to; it becomes ``path`` at the end, or nothing is left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{path.name}.*.part"):  # of a run that was killed
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - STALE_S:
                left.unlink()
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _check_licence(pack: Pack) -> None:
    if pack.licence.must_be_accepted and os.environ.get(ACCEPTED) != "yes":
        raise WeightsUnavailable(
            f"{pack.name} is licensed by {pack.licence.name}. {pack.licence.meaning} "
            f"{ACCEPTED}=yes accepts that; the yunet_ packs ask for nothing."
        )


def main(argv: list[str] | None = None) -> int:
    """Fetch a pack, or say in one line why not; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(prog="memoria.packs.weights", description=main.__doc__)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--pack", default="buffalo_l")
    parser.add_argument("--from", dest="source", default="", metavar="gs://BUCKET/PREFIX")
    args: Any = parser.parse_args(argv)
    try:
        _check_licence(pack_named(args.pack))
        if args.source:
            fetch_from_bucket(args.source, args.pack, args.dest)
        else:
            find_or_fetch(args.pack, args.dest)
    except WeightsUnavailable as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    files = ", ".join(network.file for network in PACKS[args.pack].networks)
    sys.stdout.write(f"{args.pack}: {files} in {args.dest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
