"""Weights beside their graph instead of inside it, so that loading maps them and copies nothing.

Done once, when an image is built: half the time to open a recogniser, and the file stays what any
CPU can run (docs/decisions/0602-waking.md).

    python -m memoria.packs.external_weights FOLDER
"""

import sys
from pathlib import Path

_SMALLEST_BYTES = 1024  # what is smaller stays in the graph


def move_weights_out(folder: Path) -> list[Path]:
    """Move the tensors of every ``.onnx`` of a folder into a ``.bin`` beside it; idempotent.

    Returns the files rewritten. Needs the ``onnx`` package.
    """
    import onnx

    written = []
    for path in sorted(folder.glob("*.onnx")):
        model = onnx.load(path, load_external_data=False)
        if any(tensor.external_data for tensor in model.graph.initializer):
            continue
        partial, tensors = path.with_suffix(".part"), path.with_suffix(".bin")
        tensors.unlink(missing_ok=True)  # onnx would append
        onnx.save_model(
            model,
            partial,
            save_as_external_data=True,
            location=tensors.name,
            size_threshold=_SMALLEST_BYTES,
        )
        if tensors.exists():  # a network may have none that is large enough
            tensors.chmod(path.stat().st_mode)
        partial.replace(path)
        written.append(path)
    return written


if __name__ == "__main__":
    for each in move_weights_out(Path(sys.argv[1])):
        sys.stdout.write(f"{each.name}: weights moved beside it\n")
