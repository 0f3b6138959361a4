"""OpenVINO sessions with the face of ONNX Runtime's, so that detector and recogniser know no other.

Every choice here was measured: docs/decisions/0606-second-gear.md.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from memoria.arrays import F32
from memoria.container import cpu_threads
from memoria.malloc import give_back_memory
from memoria.packs.intermediate import intermediate_of
from memoria.packs.pack import WeightsUnavailable

logger = logging.getLogger(__name__)

Precision = Literal["bf16", "f32"]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output: its name and its shape, with a name where a side may vary."""

    name: str
    shape: list[int | str]


class OpenvinoSession:
    """A compiled network; one inference at a time.

    The network as it was read tells the names: compiling adds others.
    """

    def __init__(self, compiled: Any, network: Any) -> None:
        self._request = compiled.create_infer_request()
        self._inputs = [_port(source) for source in network.inputs]
        self._outputs = [_port(output) for output in network.outputs]

    def get_inputs(self) -> list[Port]:
        """In the order of the graph, like the outputs."""
        return self._inputs

    def get_outputs(self) -> list[Port]:
        """In the order of the graph."""
        return self._outputs

    def run(self, names: Sequence[str] | None, inputs: Mapping[str, F32]) -> list[F32]:
        """The named outputs, or all, as arrays of their own."""
        found = self._request.infer(dict(inputs), share_inputs=True)
        return [found[name] for name in names or [output.name for output in self._outputs]]


def open_openvino(
    path: Path, *, threads: int | None = None, precision: Precision = "bf16"
) -> OpenvinoSession:
    """A session for the model file, or for what the image's build made of it; imports openvino.

    A recogniser takes one face at a time. ``threads`` as of ``open_session``. ``precision`` is what
    convolutions are computed in; answers are float32. Raises WeightsUnavailable for a missing or
    broken file.
    """
    try:
        core = _core()
        network = core.read_model(_source(path))
        shape = network.inputs[0].partial_shape
        shape[0] = 1  # 20 faces one by one take no longer than in batches
        network.reshape(shape)
        compiled = core.compile_model(network, "CPU", _options(threads, precision))
    except Exception as exc:  # openvino's are RuntimeErrors of every kind
        raise WeightsUnavailable(f"OpenVINO cannot open {path.name}") from exc
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != precision:
        logger.warning("OpenVINO runs %s in %s, not in %s", path.name, used, precision)
    session = OpenvinoSession(compiled, network)
    del network
    give_back_memory()  # as after loading in ONNX Runtime
    return session


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def _source(path: Path) -> Path:
    made = intermediate_of(path)
    return made if made.is_file() else path


def _options(threads: int | None, precision: Precision) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads or cpu_threads(),
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # a quota is no set of cores
        "ENABLE_HYPER_THREADING": True,  # two CPUs of a container may be one core's
    }


def _port(port: Any) -> Port:
    sides = [side.get_length() if side.is_static else "any" for side in port.partial_shape]
    return Port(port.any_name, sides)
