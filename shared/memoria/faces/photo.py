"""From a photo's bytes to its faces."""

import numpy as np

from memoria.arrays import Image
from memoria.faces.geometry import Detections, crop_region, crop_transforms, magnifications, within
from memoria.faces.recogniser import aligned_crop
from memoria.faces.types import Face, FaceEngine
from memoria.media import DEFAULT_MAX_PIXELS, LoadedPhoto, open_photo


def find_faces_in_photo(
    engine: FaceEngine, data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[list[Face], int, int]:
    """The faces, best first, and the upright photo's full width and height in pixels.

    Raises as decode_image does.
    """
    photo = open_photo(data, max_pixels=max_pixels)
    return engine.find_faces_in(photo), *photo.size


def aligned_crops(loaded: LoadedPhoto, in_frame: Detections, found: Detections) -> list[Image]:
    """A crop of each face: from the frame, or from the full photo where the frame has fewer pixels.

    ``in_frame`` and ``found`` are the same faces, in pixels of the frame and of the full photo.
    """
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
