"""ONNX Runtime sessions that fit a small container, or a GPU where one is asked for."""

import logging
import os
from pathlib import Path
from typing import Any

from memoria.quota import cpu_threads

log = logging.getLogger(__name__)

GPU = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


def open_session(path: Path, *, threads: int | None = None, use_gpu: bool = False) -> Any:
    """An ``onnxruntime.InferenceSession`` for the model file; onnxruntime is imported here.

    ``threads`` are those of one operator (default: the container's CPU quota); operators run one
    after the other. Where a GPU is asked for and none answers, the CPU serves and a warning says
    so. Raises what onnxruntime raises for a missing or broken file.
    """
    ort = _onnxruntime()
    providers = _providers(ort) if use_gpu else [CPU]
    session = ort.InferenceSession(
        os.fspath(path), sess_options=_options(ort, threads), providers=providers
    )
    if use_gpu and GPU not in session.get_providers():
        log.warning("no GPU answers, the CPU serves instead")
    return session


def gpu_available() -> bool:
    """Whether this build of ONNX Runtime knows CUDA; only a session tells whether a GPU answers."""
    return GPU in _onnxruntime().get_available_providers()


def _onnxruntime() -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the native library starts
    import onnxruntime  # noqa: PLC0415 - 150 ms that the cluster function never needs

    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def _options(ort: Any, threads: int | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cpu_threads()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    return options


def _providers(ort: Any) -> list[Any]:
    if GPU not in ort.get_available_providers():
        return [CPU]
    # cuDNN's exhaustive search pays on fixed shapes only; the arena grows by what is asked for.
    cuda = {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}
    return [(GPU, cuda), CPU]
