"""What a pack is: two networks, how to read and feed them, what its scores mean, who may use it."""

from dataclasses import dataclass
from typing import Literal

from memoria.errors import MemoriaError

DecoderName = Literal["scrfd", "yunet"]
PUBLISHED = "published"  # the folder in a pack's folder of what its files are made of


class WeightsUnavailable(MemoriaError):
    """The pack is not here and cannot be fetched, or it is not what the engine can run."""

    code = "weights_unavailable"


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a network's input is: (value - mean) / std of values 0..255, channels in this order."""

    mean: float
    std: float
    channels: Literal["RGB", "BGR"] = "RGB"


@dataclass(frozen=True, slots=True)
class Network:
    """One ONNX file."""

    file: str  # what the engine opens
    sha256: str  # of the file as published
    pixels: Pixels
    published: str = ""  # its name as published, where the engine opens one that is made of it

    @property
    def source(self) -> str:
        """The file whose digest is known, by its path in the pack's folder."""
        return f"{PUBLISHED}/{self.published}" if self.published else self.file


@dataclass(frozen=True, slots=True)
class DetectionScale:
    """What a detector's scores mean: they are no probabilities, each network has its scale."""

    face: float  # a face, from here on: the default of DETECTION_THRESHOLD
    settled: float  # and from here on without a second look
    upright: float  # a photo whose best face scores less may lie on its side
    hint: float  # a face that is too small, or lies otherwise than the photo, from here on
    clearly: float  # by which a face scores more in the way it lies than in any other
    quick: float  # of the main pass's sides, at most, for the looks that tell how a photo lies


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which terms the weights are published, and what that means in one sentence."""

    name: str
    meaning: str
    must_be_accepted: bool = False  # fetching and deploying ask for an explicit yes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A detector with five key points and a recogniser of crops of 112 pixels."""

    name: str
    detector: Network
    recogniser: Network
    decoder: DecoderName
    detection: DetectionScale
    dimension: int  # of the recogniser's vectors; stored padded with zeros to 512
    licence: Licence
    sources: tuple[tuple[str, ...], ...]  # tried in order: an archive of both, or a URL of each

    @property
    def networks(self) -> tuple[Network, Network]:
        """Detector and recogniser."""
        return self.detector, self.recogniser
