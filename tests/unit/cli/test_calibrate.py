import json
import subprocess
import sys
from pathlib import Path

from memoria.config import Settings
from tests.data import PORTRAITS, SMALL_PACK, needs


def calibrate(labels: Path, photos: Path = PORTRAITS) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "import sys, memoria.cli; sys.exit(memoria.cli.main())",
        "calibrate",
        str(photos),
    ]
    command += ["--labels", str(labels), "--model-dir", str(SMALL_PACK)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[3] / "shared",
    )


@needs(SMALL_PACK, PORTRAITS)
def test_thresholds_are_measured_on_a_handful_of_portraits(tmp_path: Path) -> None:
    everyone = json.loads((PORTRAITS / "labels.json").read_text())["photos"]
    several = {who for who in everyone.values() if list(everyone.values()).count(who) > 2}
    few = [name for name, who in everyone.items() if who in several][:60]
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({name: everyone[name] for name in few}))
    done = calibrate(labels)
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads(done.stdout).values()
    assert "60 photos" in measured["source"]
    told = done.stderr.splitlines()
    settings_told = dict(line.split("=", 1) for line in told if line.startswith("S"))
    enough = {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SERVICE_ROLE_KEY": "key"}
    enough |= {"CALLBACK_URL": "off", "WEBHOOK_SECRET": "s"}
    settings = Settings.from_env(enough | settings_told)
    assert settings.search_thresholds[SMALL_PACK.name][0] >= 6.5
    assert settings.similarity_thresholds == {SMALL_PACK.name: (measured["sure"], measured["link"])}


@needs(SMALL_PACK)
def test_labels_of_photos_that_are_not_there_are_one_plain_sentence(tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"gone.jpg": "Ann"}))
    done = calibrate(labels, tmp_path)
    assert done.returncode == 2
    assert "no face was found" in done.stderr
