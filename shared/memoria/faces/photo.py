"""From a photo's bytes to its faces: detected in a reduced frame, cropped from the full photo."""

from contextlib import ExitStack

import numpy as np

from memoria.arrays import Image
from memoria.faces.engine import Engine
from memoria.faces.geometry import Detections, crop_region, crop_transforms, magnifications, within
from memoria.faces.recogniser import aligned_crop
from memoria.faces.types import Face, FaceEngine
from memoria.media import DEFAULT_MAX_PIXELS, LoadedPhoto, decode_image, open_photo


def find_faces_in_photo(
    engine: FaceEngine, data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[list[Face], int, int]:
    """The faces, best first, and the upright photo's full width and height in pixels.

    Detection sees a frame reduced as far as it allows; faces that are smaller than a crop there
    are cropped from the full photo. Raises as decode_image does.
    """
    if not isinstance(engine, Engine):
        image = decode_image(data, max_pixels=max_pixels)
        return engine.find_faces(image), image.shape[1], image.shape[0]
    from memoria.metrics import stage

    photo = open_photo(data, max_pixels=max_pixels)
    with ExitStack() as open_for_crops:
        with stage("decode"):
            loaded = open_for_crops.enter_context(photo.loaded(engine.frame_side(*photo.size)))
        with stage("detect"):
            in_frame = engine.detect(loaded.frame)
        found = in_frame.scaled(loaded.reduction).moved(*loaded.corner)
        with stage("align"):
            crops = _crops(loaded, in_frame, found)
    with stage("embed"):
        faces = engine.described(found, crops, photo.size)
    return faces, *photo.size


def _crops(loaded: LoadedPhoto, in_frame: Detections, found: Detections) -> list[Image]:
    """Aligned crops from the frame, those of faces smaller than a crop from the full photo."""
    transforms = crop_transforms(in_frame.landmarks)
    crops = [aligned_crop(loaded.frame, transform) for transform in transforms]
    small = np.flatnonzero(magnifications(transforms) > 1)
    if loaded.reduction > 1 and len(small):
        again = crop_transforms(found.landmarks[small])
        boxes = [crop_region(transform, *loaded.photo.size) for transform in again]
        for i, transform, box, region in zip(
            small, again, boxes, loaded.regions(boxes), strict=True
        ):
            crops[i] = aligned_crop(region, within(box, transform))
    return crops
