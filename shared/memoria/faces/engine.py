"""The engine: detection, alignment and recognition, one inference at a time."""

import logging
import math
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from memoria.arrays import F32, Image
from memoria.faces.crops import aligned_crop, aligned_crops
from memoria.faces.detector import Detector
from memoria.faces.drawn import View, face_in, views
from memoria.faces.geometry import CROP_PX, Detections, crop_transforms
from memoria.faces.quality import face_quality
from memoria.faces.recogniser import Recogniser
from memoria.faces.search import Search, SmallFaces
from memoria.faces.types import Face, FaceEngine
from memoria.media import DEFAULT_MAX_PIXELS, OpenPhoto, Photo, opened_here
from memoria.packs.folder import PackFiles, locate, pack_name
from memoria.packs.inference import Inference, network_opener
from memoria.packs.normalisation import input_mean_and_std
from memoria.packs.pack import WeightsUnavailable
from memoria.packs.session import GPU

logger = logging.getLogger(__name__)

# The scale of a reduced frame, in main passes: looks that are nearer need no more pixels.
FRAME_PER_PASS = {"auto": 2, "thorough": 4}


@dataclass(frozen=True, slots=True)
class Engine:
    """Finds and embeds faces. Safe to call from several threads: one inference runs at a time."""

    model: str
    search: Search
    recogniser: Recogniser
    max_faces: int = 200
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def find_faces(self, image: Image) -> list[Face]:
        """All faces of an upright (h, w, 3) uint8 RGB photo, best first, at most ``max_faces``."""
        found = self.detect(image)
        crops = [aligned_crop(image, m) for m in crop_transforms(found.landmarks)]
        return self.described(found, crops, (image.shape[1], image.shape[0]))

    def find_faces_in(
        self, photo: Photo, drawn: Sequence[F32] = ()
    ) -> tuple[list[Face], list[Face | None]]:
        """All faces of a photo, and those in boxes that users drew: see FaceEngine.

        Detection sees a frame reduced as far as it allows.
        """
        from memoria.metrics import stage  # with the first photo: opening an engine goes without

        found, crops, of_boxes = self._seen_in(photo, drawn)  # and the photo's memory is given back
        in_boxes = []
        if of_boxes:
            with stage("detect"):
                in_boxes = [self._face_in(view) for view in of_boxes]
        with stage("embed"):
            faces = self.described(found, crops, photo.size)
            read = [self.described(*seen, photo.size) for seen in in_boxes]
            return faces, [one[0] if one else None for one in read]

    def _seen_in(
        self, photo: Photo, drawn: Sequence[F32]
    ) -> tuple[Detections, list[Image], list[View]]:
        """All that is needed of a photo's pixels: its faces, their crops, views of drawn boxes."""
        from memoria.metrics import stage

        with ExitStack() as open_for_crops:
            with stage("decode"):
                loaded = open_for_crops.enter_context(photo.loaded(self.frame_side(*photo.size)))
            with stage("detect"):
                in_frame = self.detect(loaded.frame)
            found = in_frame.scaled(loaded.reduction).moved(*loaded.corner)
            with stage("align"):
                crops = aligned_crops(loaded, in_frame, found)
                return found, crops, views(loaded, drawn)

    def _face_in(self, view: View) -> tuple[Detections, list[Image]]:
        """The face in a drawn box, in the photo's pixels, and its crop; or none."""
        with self._one_at_a_time:
            found = face_in(self.search.detector, view.image, view.box)
        crops = [aligned_crop(view.image, m) for m in crop_transforms(found.landmarks)]
        return found.scaled(view.scale).moved(*view.corner), crops

    def detect(self, image: Image) -> Detections:
        """The faces worth embedding, best first, in the image's pixels."""
        with self._one_at_a_time:
            found = self.search(image)
        best = np.argsort(-found.scores * np.minimum(found.sizes, 112), kind="stable")
        return found.take(best[: self.max_faces])

    def frame_side(self, width: int, height: int) -> int:
        """How long the shorter side of a frame of this photo must be at least for detection."""
        nearest = FRAME_PER_PASS[self.search.small_faces]
        return math.ceil(nearest * self.search.looks.scale(width, height) * min(width, height))

    def described(self, found: Detections, crops: list[Image], size: tuple[int, int]) -> list[Face]:
        """Faces from detections and their crops, both in a photo of this width and height."""
        found, crops, raw = self._embedded(found, crops)
        if not crops:
            return []
        norms = np.linalg.norm(raw, axis=1)
        embeddings = raw / norms[:, None]
        values = face_quality(found, crops, norms, self.model)
        extent = np.array(size, np.float32)
        boxes = np.clip(found.boxes.reshape(-1, 2, 2) / extent, 0, 1)
        landmarks = np.clip(found.landmarks / extent, 0, 1)
        return [
            Face(
                box=_corner_and_size(boxes[i]),
                score=float(min(found.scores[i], 1)),
                quality=float(values[i]),
                landmarks=landmarks[i],
                embedding=embeddings[i],
            )
            for i in range(len(found))
        ]

    def _embedded(
        self, found: Detections, crops: list[Image]
    ) -> tuple[Detections, list[Image], F32]:
        """Faces, their crops and raw vectors, without those whose vector has no direction.

        Not a number, infinite or zero, it is like nobody's, and would stop the whole event.
        """
        if not crops:
            return found, crops, np.zeros((0, 0), np.float32)
        with self._one_at_a_time:
            raw = self.recogniser.embed(np.stack(crops))
        norms = np.linalg.norm(raw, axis=1)
        usable = np.isfinite(norms) & (norms > 0)
        if not usable.all():
            logger.warning("%d of %d faces left out: no usable vector", sum(~usable), len(usable))
        return found.take(usable), [crops[i] for i in np.flatnonzero(usable)], raw[usable]


def find_faces_in_photo(
    engine: FaceEngine,
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    opened: OpenPhoto = opened_here,
) -> tuple[list[Face], int, int]:
    """The faces, best first, and the upright photo's full width and height in pixels.

    ``opened`` says where it is decoded: in this process, or in a child (media/children.py). Raises
    as decode_image does.
    """
    with opened(data, max_pixels) as photo:
        return engine.find_faces_in(photo)[0], *photo.size


def open_engine(
    model_dir: str | Path,
    *,
    det_size: int = 640,
    threshold: float | None = None,
    max_faces: int = 200,
    small_faces: SmallFaces = "auto",
    threads: int | None = None,
    use_gpu: bool = False,
    inference: Inference = "onnxruntime",
) -> Engine:
    """An engine from a known pack, or any pack in InsightFace's format: a folder with two networks.

    ``det_size`` is the long side of the main detection pass, pixels, a multiple of 32;
    ``threshold`` the detector score, 0..1, that makes a face (default: the pack's);
    ``small_faces="thorough"`` looks everywhere at 2.25 times the main pass's scale; ``inference``
    is the library that runs the networks, where this CPU is one for it. The engine's ``model`` is
    the folder's name. Raises WeightsUnavailable when the folder holds no such pair.
    """
    folder = Path(model_dir)
    name = pack_name(folder)
    files = locate(folder, name)
    opened = network_opener(inference, threads=threads, use_gpu=use_gpu)
    detector = Detector(opened(files.detector), files.pack)
    session = opened(files.recogniser)
    on_gpu = use_gpu and GPU in session.get_providers()
    recogniser = Recogniser(session, *_mean_and_std(files), on_gpu=on_gpu)
    _check(files, detector, recogniser)
    least = detector.scale.face if threshold is None else threshold
    return Engine(name, Search(detector, det_size, least, small_faces), recogniser, max_faces)


def _mean_and_std(files: PackFiles) -> tuple[float, float]:
    if files.pack:
        return files.pack.recogniser.pixels.mean, files.pack.recogniser.pixels.std
    return input_mean_and_std(files.recogniser)


def _check(files: PackFiles, detector: Detector, recogniser: Recogniser) -> None:
    """Of a known pack that it is what it is known as; any other is tried, before any photo is."""
    name = files.recogniser.parent.name
    if files.pack:
        if recogniser.dimension != files.pack.dimension:
            raise WeightsUnavailable(
                f"{name}: vectors have {recogniser.dimension} numbers, not {files.pack.dimension}"
            )
        return
    try:
        width, height = detector.canvas_size(CROP_PX, CROP_PX)
        detector.detect(np.zeros((height, width, 3), np.uint8), detector.scale.face)
        recogniser.embed(np.zeros((1, CROP_PX, CROP_PX, 3), np.uint8))
    except Exception as exc:  # whatever a network of another kind makes our code stumble over
        raise WeightsUnavailable(f"{name}: the two networks do not run as a pack's do") from exc


def _corner_and_size(corners: F32) -> F32:
    return np.concatenate([corners[0], corners[1] - corners[0]])
