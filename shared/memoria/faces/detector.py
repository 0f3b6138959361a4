"""One detection network on one canvas, whatever its layout.

insightface's own class builds and keeps one session per canvas size, decodes every anchor, and
costs a second of imports: docs/decisions/0202-own-detector.md. Held equal to it, and to OpenCV's
class for YuNet, by parity tests.
"""

from functools import cached_property
from typing import Any, Protocol

from memoria.arrays import F32, Image
from memoria.faces.geometry import Detections
from memoria.faces.scrfd import Scrfd
from memoria.faces.yunet import Yunet
from memoria.packs.pack import DetectionScale, WeightsUnavailable
from memoria.packs.session import only_input


class Decoder(Protocol):
    """How a network is fed, and what its outputs say."""

    @property
    def names(self) -> list[str]:
        """The outputs, in the order that ``decoded`` takes them."""
        ...

    @property
    def stride(self) -> int:
        """What the canvas's sides are multiples of, pixels."""
        ...

    @property
    def scale(self) -> DetectionScale:
        """What the scores of such a network mean, as far as the layout tells."""
        ...

    def blob(self, canvas: Image) -> F32:
        """(h, w, 3) uint8 RGB -> (1, 3, h, w)."""
        ...

    def decoded(self, outputs: list[F32], columns: int, threshold: float) -> Detections:
        """Candidates at or over the threshold; ``columns``: the canvas's width in pixels."""
        ...


class Detector:
    """One network with key points, in an ONNX Runtime session.

    ``scale``: what its scores mean, where the pack knows better than the layout. Raises
    WeightsUnavailable for a network of another kind.
    """

    def __init__(self, session: Any, scale: DetectionScale | None = None) -> None:
        self._session = session
        self._decoder = _decoder(session.get_outputs())
        self._input = only_input(session).name
        self.scale = scale or self._decoder.scale

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
        outputs = self._session.run(decoder.names, {self._input: decoder.blob(canvas)})
        return decoder.decoded(outputs, canvas.shape[1], threshold)


def _decoder(outputs: list[Any]) -> Decoder:
    """Told by the outputs: YuNet's have names, SCRFD's are counted."""
    shapes = {output.name: output.shape for output in outputs}
    for layout in (Yunet, Scrfd):
        decoder = layout.of(shapes)
        if decoder:
            return decoder
    raise WeightsUnavailable(
        f"the detector's {len(shapes)} outputs are neither SCRFD's nor YuNet's with key points"
    )
