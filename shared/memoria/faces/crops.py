"""Aligned crops: each face turned upright, its landmarks where recognisers expect them."""

import cv2
import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.geometry import (
    CROP_PX,
    Detections,
    crop_region,
    crop_transforms,
    magnifications,
    within,
)
from memoria.media import LoadedPhoto


def aligned_crop(image: Image, transform: F32) -> Image:
    """A face turned upright, its landmarks in place; black beyond the frame. -> (112, 112, 3)."""
    return cv2.warpAffine(  # type: ignore[return-value]
        image, transform, (CROP_PX, CROP_PX), borderValue=0.0
    )


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
