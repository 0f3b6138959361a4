"""What it costs to decode in a child instead of in the calling process.

``python -m benchmarks.decoding`` prints it for photos of 12 megapixels with three faces: the whole
of decoding, finding and recognising by twins of buffalo_l, in turns; the fastest third counts.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks import photos, twins
from benchmarks.measures import alternated
from benchmarks.server import as_in_the_image
from memoria.faces import find_faces_in_photo, open_engine
from memoria.media.children import Decoders

ROUNDS = 30
FORMATS = {"JPEG": {"quality": 90}, "PNG": {"compress_level": 1}, "WEBP": {"quality": 90}}


def main() -> None:
    picture = Image.fromarray(photos.photo(photos.MEGAPIXELS_12, 3))
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(as_in_the_image(twins.make(Path(folder) / "buffalo_l")))
    decoders = Decoders()
    for kind, options in FORMATS.items():
        picture.save(buffer := io.BytesIO(), kind, **options)
        data = buffer.getvalue()
        here, child = alternated(
            [
                lambda data=data: find_faces_in_photo(engine, data),  # type: ignore[misc]
                lambda data=data: find_faces_in_photo(engine, data, opened=decoders.opened),  # type: ignore[misc]
            ],
            ROUNDS,
        )
        sys.stdout.write(
            f"{kind}, {len(data) / 1e6:.1f} MB: here {1000 * here:.1f} ms,"
            f" child {1000 * child:.1f} ms, {child / here - 1:+.1%}\n"
        )
    decoders.close()


if __name__ == "__main__":
    main()
