"""One detection network on one canvas, whatever its layout.

insightface's own class builds and keeps one session per canvas size, decodes every anchor, and
costs a second of imports: docs/decisions/0202-own-detector.md. Held equal to it, and to OpenCV's
class for YuNet, by parity tests.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, Self

import cv2

from memoria.arrays import F32, Image
from memoria.faces.geometry import Detections
from memoria.faces.scrfd import Scrfd
from memoria.faces.yunet import Yunet
from memoria.packs.catalogue import PIXELS, SCALES
from memoria.packs.pack import DecoderName, Pack, WeightsUnavailable
from memoria.packs.session import only_input


class Decoder(Protocol):
    """What a network's outputs say."""

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[Any]]) -> Self | None:
        """The decoder for outputs of these shapes, if they are of its kind."""
        ...

    @property
    def names(self) -> list[str]:
        """The outputs, in the order that ``decoded`` takes them."""
        ...

    @property
    def stride(self) -> int:
        """What the canvas's sides are multiples of, pixels."""
        ...

    def decoded(self, outputs: list[F32], columns: int, threshold: float) -> Detections:
        """Candidates at or over the threshold; ``columns``: the canvas's width in pixels."""
        ...


DECODERS: dict[DecoderName, type[Decoder]] = {"yunet": Yunet, "scrfd": Scrfd}


class Detector:
    """One network with key points, in an ONNX Runtime session.

    ``pack`` says of which kind it is, what its input is and what its scores mean. Of a pack that
    nobody has described the outputs tell the kind, and the kind the rest: what SCRFD and YuNet as
    published need. Raises WeightsUnavailable for a network of another kind.
    """

    def __init__(self, session: Any, pack: Pack | None = None) -> None:
        self._session = session
        self._input = only_input(session).name
        kind, self._decoder = _told(session.get_outputs(), pack.decoder if pack else None)
        self._pixels = pack.detector.pixels if pack else PIXELS[kind]
        self.scale = pack.detection if pack else SCALES[kind]

    @cached_property
    def fixed_size(self) -> tuple[int, int] | None:
        """Width and height of the only canvas that the network takes, if there is only one."""
        height, width = self._session.get_inputs()[0].shape[2:]
        return (width, height) if isinstance(width, int) and isinstance(height, int) else None

    def canvas_size(self, width: int, height: int) -> tuple[int, int]:
        """The smallest canvas that the network takes for such an image, or the only one."""
        multiple = self._decoder.stride
        return self.fixed_size or (
            -(-width // multiple) * multiple,
            -(-height // multiple) * multiple,
        )

    def detect(self, canvas: Image, threshold: float) -> Detections:
        """Candidates at or over the threshold, before suppression, in the canvas's pixels.

        canvas (h, w, 3) uint8 RGB, of a ``canvas_size``.
        """
        decoder = self._decoder
        outputs = self._session.run(decoder.names, {self._input: self._blob(canvas)})
        return decoder.decoded(outputs, canvas.shape[1], threshold)

    def _blob(self, canvas: Image) -> F32:
        """(h, w, 3) uint8 RGB -> (1, 3, h, w)."""
        pixels, size = self._pixels, (canvas.shape[1], canvas.shape[0])
        return cv2.dnn.blobFromImage(  # type: ignore[return-value]
            canvas, 1 / pixels.std, size, (pixels.mean,) * 3, swapRB=pixels.channels == "BGR"
        )


def _told(outputs: list[Any], wanted: DecoderName | None) -> tuple[DecoderName, Decoder]:
    """The kind of a network, told by its outputs: YuNet's have names, SCRFD's are counted."""
    shapes = {output.name: output.shape for output in outputs}
    for kind, decoder in DECODERS.items():
        if wanted in (None, kind) and (found := decoder.of(shapes)):
            return kind, found
    what = {"yunet": "YuNet's", "scrfd": "SCRFD's", None: "SCRFD's or YuNet's"}[wanted]
    raise WeightsUnavailable(f"the detector's {len(shapes)} outputs are not {what} with key points")
