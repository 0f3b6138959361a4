"""ONNX Runtime sessions that fit a small container, or a GPU where one is asked for.

Every choice here was measured: docs/decisions/0601-sessions.md.
"""

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from memoria.container import cpu_threads
from memoria.malloc import give_back_memory
from memoria.packs.pack import WeightsUnavailable

logger = logging.getLogger(__name__)

GPU = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


def open_session(path: Path, *, threads: int | None = None, use_gpu: bool = False) -> Any:
    """An ``onnxruntime.InferenceSession`` for the model file; onnxruntime is imported here.

    ``threads`` are those of one operator (default: the container's CPU quota); operators run one
    after the other. Where a GPU is asked for and none answers, the CPU serves and a warning says
    so. Raises WeightsUnavailable for a missing or broken file.
    """
    ort = _onnxruntime()
    providers = _providers(ort) if use_gpu else [CPU]
    try:
        session = ort.InferenceSession(
            os.fspath(path), sess_options=_options(ort, threads), providers=providers
        )
    except Exception as exc:  # onnxruntime's have no base of their own
        raise WeightsUnavailable(f"ONNX Runtime cannot open {path.name}") from exc
    if use_gpu and GPU not in session.get_providers():
        logger.warning("no GPU answers, the CPU serves instead")
    give_back_memory()  # loading leaves as much behind as the weights take
    return session


def only_input(session: Any) -> Any:
    """The one input that a network for faces has. Raises WeightsUnavailable for another one."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise WeightsUnavailable("a network for faces takes one batch of images, and nothing else")
    return inputs[0]


def gpu_available() -> bool:
    """Whether a GPU can be used: ONNX Runtime was built with CUDA and the driver shows a device."""
    return GPU in _onnxruntime().get_available_providers() and any(_gpu_devices())


@cache
def _onnxruntime() -> Any:
    """The module, with one memory arena for all sessions of this process.

    An arena of its own per session doubles in size as it grows and keeps what loading needed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the native library starts
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    as_requested = 1  # kSameAsRequested; 0 would double with every extension
    ort.create_and_register_allocator(
        memory, ort.OrtArenaCfg({"arena_extend_strategy": as_requested})
    )
    return ort


def _options(ort: Any, threads: int | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cpu_threads()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # a plan is kept for every shape ever seen
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Waiting threads would burn the CPU that fetching and decoding the next photo need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _providers(ort: Any) -> list[Any]:
    if GPU not in ort.get_available_providers():
        return [CPU]
    ort.preload_dlls()  # CUDA and cuDNN as installed from wheels
    # Exhaustive search for the fastest convolution costs seconds for every new shape.
    cuda = {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}
    return [(GPU, cuda), CPU]


def _gpu_devices() -> list[Path]:
    return list(Path("/dev").glob("nvidia[0-9]*"))
