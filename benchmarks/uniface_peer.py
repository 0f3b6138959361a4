"""uniface on the pack that is measured: its weights are the same files, and nothing is fetched."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CPU = ["CPUExecutionProvider"]


def open_uniface(pack: Path) -> Callable[[Any], list[Any]]:
    """A call that finds the faces of a (h, w, 3) uint8 BGR photo: a unit vector of each.

    uniface looks for weights in a folder of its own, under its own names, and fetches those whose
    digest is not the one it knows: it is told the digests of these.
    """
    from uniface import constants
    from uniface.detection import SCRFD
    from uniface.recognition import ArcFace

    wanted = {
        constants.SCRFDWeights.SCRFD_10G_KPS: pack / "det_10g.onnx",
        constants.ArcFaceWeights.RESNET: pack / "w600k_r50.onnx",
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["UNIFACE_CACHE_DIR"] = folder
        for name, file in wanted.items():
            (Path(folder) / f"{name.value}.onnx").symlink_to(file.resolve())
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            url = constants.MODEL_REGISTRY[name].url
            constants.MODEL_REGISTRY[name] = constants.ModelInfo(url=url, sha256=digest)
        detector = SCRFD(providers=CPU)
        recogniser = ArcFace(model_name=constants.ArcFaceWeights.RESNET, providers=CPU)
    return lambda bgr: [
        recogniser.get_normalized_embedding(bgr, face.landmarks) for face in detector.detect(bgr)
    ]
