"""What PReLUs as convolutions save of a recogniser's time, on real faces.

    python -m experiments.prelu_0605

The twin of buffalo_l's recogniser, and the small pack's, each as published against as the image for
the CPU holds it (docs/decisions/0605-prelu.md). How long a PReLU takes hangs on the data.
"""

import shutil
import tempfile
from pathlib import Path

from benchmarks import twins
from benchmarks.measures import alternated
from benchmarks.quality import SHARED
from benchmarks.server import as_in_the_image
from experiments.bfloat16_0603 import blobs, cosine, in_onnxruntime
from memoria.faces import open_engine
from memoria.packs.folder import locate
from memoria.packs.normalisation import input_mean_and_std

FACES = 60


def compared(pack: Path) -> str:
    """One line: milliseconds a face of both, and how far their vectors are apart."""
    files = [locate(folder, pack.name).recogniser for folder in (pack, as_in_the_image(pack))]
    networks = [in_onnxruntime(path) for path in files]
    small = SHARED / "models/scrfd2.5g_mobilefacenet"
    faces = blobs(open_engine(small), SHARED / "events/portraits", *input_mean_and_std(files[0]))
    faces = faces[:: len(faces) // FACES]
    times = alternated(
        [lambda run=run: [run(face) for face in faces] for run in networks],  # type: ignore[misc]
        6,
    )
    worst = min(cosine(networks[0](face), networks[1](face)) for face in faces)
    published, blocked = (1000 * taken / len(faces) for taken in times)
    return (
        f"{pack.name}: {published:.1f} ms a face as published, {blocked:.1f} in the image "
        f"({published / blocked:.2f} ×), lowest cosine {worst:.7f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = twins.make(Path(folder) / "twins")
        small = SHARED / "models/scrfd2.5g_mobilefacenet"
        copied = shutil.copytree(small, Path(folder) / small.name, copy_function=shutil.copyfile)
        for pack in (made, copied):
            print(compared(pack), flush=True)


if __name__ == "__main__":
    main()
