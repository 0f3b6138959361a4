"""Which library runs a pack's networks: ONNX Runtime, or OpenVINO where the CPU makes it faster.

docs/decisions/0606-second-gear.md has the figures.
"""

import logging
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from memoria.packs.session import open_session

logger = logging.getLogger(__name__)

Inference = Literal["onnxruntime", "openvino"]
CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def network_opener(
    inference: Inference,
    *,
    threads: int | None = None,
    use_gpu: bool = False,
    cpuinfo: Path = CPUINFO,
) -> Callable[[Path], Any]:
    """What opens a model file as a session.

    Where OpenVINO is asked for and would be no faster, ONNX Runtime serves and a warning says why.
    """
    if inference == "openvino":
        reason = hindrance(cpuinfo)
        if not reason:
            from memoria.packs.openvino_session import open_openvino

            return partial(open_openvino, threads=threads)
        logger.warning("INFERENCE=openvino: %s; ONNX Runtime serves instead", reason)
    return partial(open_session, threads=threads, use_gpu=use_gpu)


def serving(inference: Inference, cpuinfo: Path = CPUINFO) -> Inference:
    """The library that serves where this one is asked for."""
    return "onnxruntime" if inference == "openvino" and hindrance(cpuinfo) else inference


def hindrance(cpuinfo: Path = CPUINFO) -> str:
    """Why OpenVINO is no faster here, or empty. Imports nothing.

    Without bfloat16 in the CPU it gains nothing, and forced to it may crash.
    """
    if not _BFLOAT16 & _flags(cpuinfo):
        return "this CPU has neither avx512_bf16 nor amx_bf16"
    return "" if find_spec("openvino") else "the package openvino is not installed"


def _flags(cpuinfo: Path) -> set[str]:
    """What the first CPU can do, as the kernel lists it; empty where it does not."""
    try:
        with cpuinfo.open() as lines:
            found = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return set()
    return set(found.partition(":")[2].split())
