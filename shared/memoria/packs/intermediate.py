"""A pack as OpenVINO's intermediate representation, weights in 16 bits, beside its ONNX files.

Done once, when an image for OpenVINO is built: half the bytes, and nothing to convert when it
loads. The ONNX files stay for CPUs on which ONNX Runtime serves.

    python -m memoria.packs.intermediate FOLDER
"""

import sys
from pathlib import Path

FOLDER = "openvino"  # in the pack's folder: weights of ONNX files lie beside them as .bin, too


def intermediate_of(model: Path) -> Path:
    """Where the graph made of an ``.onnx`` file lies; its weights beside it."""
    return model.parent / FOLDER / f"{model.stem}.xml"


def write_intermediates(folder: Path) -> list[Path]:
    """Make those of a folder's ``.onnx`` files that are missing. Returns the graphs written.

    Needs the ``openvino`` package; best given the files as published.
    """
    import openvino

    written = []
    for path in sorted(folder.glob("*.onnx")):
        made = intermediate_of(path)
        if not made.is_file():
            made.parent.mkdir(exist_ok=True)
            openvino.save_model(openvino.Core().read_model(path), made, compress_to_fp16=True)
            written.append(made)
    return written


if __name__ == "__main__":
    for each in write_intermediates(Path(sys.argv[1])):
        sys.stdout.write(f"{each.name}: made for OpenVINO\n")
