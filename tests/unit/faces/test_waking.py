import subprocess
import sys
from pathlib import Path

from tests.data import any_pack

LIBRARY = Path(__file__).parents[3] / "shared"
FOR_LATER = ("PIL", "pillow_heif", "prometheus_client", "urllib.request", "zipfile", "onnx")


def test_opening_an_engine_imports_nothing_that_only_photos_need() -> None:
    script = (
        "import sys; from memoria.faces import open_engine; open_engine(sys.argv[1]);"
        f"print([name for name in {FOR_LATER} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(any_pack())],
        capture_output=True,
        text=True,
        check=True,
        cwd=LIBRARY,
    )
    assert told.stdout.strip() == "[]"
