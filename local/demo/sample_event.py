"""A small event made from the group photo that ships inside insightface.

Six people recur in fourteen photos: other crops, other light, other sizes, a camera held askew, one
photo stored sideways with its EXIF orientation, one without anybody.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

EXIF_ORIENTATION, ROTATED_90_CW = 0x0112, 6


@dataclass(frozen=True, slots=True)
class Shot:
    """How one photo is taken from the group photo (1280 × 886 pixels)."""

    box: tuple[int, int, int, int]  # left, upper, right, lower
    long_side: int = 1280  # pixels of the result
    tilt: float = 0  # degrees, counter-clockwise
    light: float = 1  # factor on the brightness
    colour: float = 1  # factor on the saturation
    mirrored: bool = False
    sideways: bool = False  # stored rotated, the EXIF orientation says so
    suffix: str = ".jpg"


SHOTS = (
    Shot((0, 0, 1280, 886)),
    Shot((0, 60, 690, 886), 1200),
    Shot((600, 0, 1280, 886), 1200, light=0.85),
    Shot((230, 90, 900, 640), 1100, tilt=3, colour=1.25),
    Shot((400, 180, 910, 600), 1000, light=1.15),
    Shot((0, 70, 440, 500), 900, colour=0.8),
    Shot((830, 20, 1260, 480), 960, tilt=-4),
    Shot((230, 0, 1280, 886), light=0.7),
    Shot((0, 60, 890, 886), 1024, colour=1.4, mirrored=True),
    Shot((18, 190, 358, 560), 800, tilt=5),
    Shot((690, 0, 1070, 560), 1000, sideways=True),
    Shot((380, 590, 1280, 886), 1000),
    Shot((35, 40, 1245, 846), 1000, tilt=-3, colour=0),
    Shot((1000, 190, 1280, 560), 720, light=1.1, suffix=".png"),
)


def write_sample_event(folder: Path) -> None:
    """Take every shot: ``IMG_0001.jpg`` and so on. Raises RuntimeError without insightface."""
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(group_photo()) as group:
        upright = group.convert("RGB")
    for number, shot in enumerate(SHOTS, start=1):
        photo, exif = _taken(upright, shot), Image.Exif()
        if shot.sideways:
            photo = photo.transpose(Image.Transpose.ROTATE_90)
            exif[EXIF_ORIENTATION] = ROTATED_90_CW
        photo.save(folder / f"IMG_{number:04}{shot.suffix}", quality=90, exif=exif)


def group_photo() -> Path:
    """``insightface.data.get_image("t1")`` without importing insightface, which takes a second."""
    spec = find_spec("insightface")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package insightface is missing: install local/requirements.txt")
    return Path(spec.origin).parent / "data" / "images" / "t1.jpg"


def _taken(group: Image.Image, shot: Shot) -> Image.Image:
    centre = ((shot.box[0] + shot.box[2]) / 2, (shot.box[1] + shot.box[3]) / 2)
    photo = group.rotate(shot.tilt, Image.Resampling.BICUBIC, center=centre).crop(shot.box)
    photo = ImageEnhance.Brightness(photo).enhance(shot.light)
    photo = ImageEnhance.Color(photo).enhance(shot.colour)
    photo = ImageOps.mirror(photo) if shot.mirrored else photo
    return ImageOps.contain(photo, (shot.long_side, shot.long_side))
