"""From a photo's bytes to its faces: decoded no larger than needed, cropped from the full frame."""

import numpy as np

from memoria.faces.engine import Engine
from memoria.faces.geometry import Detections, crop_transforms, magnifications
from memoria.faces.recogniser import aligned_crop
from memoria.faces.types import Face, FaceEngine, Image
from memoria.media import DEFAULT_MAX_PIXELS, Photo, decode_image, open_photo


def find_faces_in_photo(
    engine: FaceEngine, data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[list[Face], int, int]:
    """The faces, best first, and the upright photo's full width and height in pixels.

    A large JPEG is decoded at the scale that detection needs; faces that are smaller than a crop
    in that frame are cropped from the full one. Raises as decode_image does.
    """
    if not isinstance(engine, Engine):
        image = decode_image(data, max_pixels=max_pixels)
        return engine.find_faces(image), image.shape[1], image.shape[0]
    photo = open_photo(data, max_pixels=max_pixels)
    frame = photo.frame(engine.frame_side(*photo.size))
    reduction = round(photo.size[0] / frame.shape[1]) if photo.format == "JPEG" else 1
    found = engine.detect(frame)
    crops = _crops(photo, frame, found, reduction)
    size = photo.size if reduction > 1 else (frame.shape[1], frame.shape[0])
    return engine.described(found.scaled(reduction), crops, size), *size


def _crops(photo: Photo, frame: Image, found: Detections, reduction: int) -> list[Image]:
    """Aligned crops from the frame, those of faces smaller than a crop from the full photo."""
    transforms = crop_transforms(found.landmarks)
    crops = [aligned_crop(frame, transform) for transform in transforms]
    small = np.flatnonzero(magnifications(transforms) > 1)
    if reduction > 1 and len(small):
        full = photo.frame()
        for i, again in zip(
            small, crop_transforms(found.landmarks[small] * reduction), strict=True
        ):
            crops[i] = aligned_crop(full, again)
    return crops
