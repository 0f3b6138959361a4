"""What lies in the repository for others to read: build files, monitoring, the flags of gcloud."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from memoria import errors
from memoria.config import Settings
from tests.deploy.project import ROOT, Cloud

MONITORING = ROOT / "deploy" / "monitoring"
DOCKERFILES = sorted((ROOT / "functions").glob("*/Dockerfile"))
ALERTS = sorted((MONITORING / "alerts").glob("*.json"))
REQUIRED = {"SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "CALLBACK_URL", "CALLBACK_SECRET"}
OURS = "logging.googleapis.com/user/"


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def check(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cloud_build_file_is_valid() -> None:
    check(tool("check-jsonschema"), "--builtin-schema", "vendor.cloudbuild", "cloudbuild.yaml")


def test_every_substitution_is_declared_and_used() -> None:
    text = (ROOT / "cloudbuild.yaml").read_text()
    declared = set(YAML(typ="safe").load(text)["substitutions"])
    steps = text.partition("\nsubstitutions:")[0].partition("\nsteps:")[2]
    assert set(re.findall(r"(?<!\$)\$\{?(_[A-Z_]+)", steps)) == declared


def test_the_dockerfiles_are_clean() -> None:
    check(tool("hadolint"), *map(str, DOCKERFILES))


def test_the_deploy_script_is_clean() -> None:
    check(tool("shellcheck"), "deploy.sh", ".ci/run")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_runs_as_nobody_and_installs_only_what_is_hashed(file: Path) -> None:
    text = file.read_text()
    assert re.search(r"^USER [1-9]\d*:\d+$", text, re.MULTILINE)
    assert text.count("pip --python") == text.count("--require-hashes")


@pytest.mark.parametrize("file", sorted((ROOT / "functions").glob("*/requirements*.txt")), ids=str)
def test_every_package_of_an_image_is_pinned_by_hash(file: Path) -> None:
    for entry in file.read_text().replace("\\\n", " ").splitlines():
        if entry.strip() and not entry.startswith("#"):
            assert "==" in entry
            assert "--hash=sha256:" in entry


def services() -> list[str]:
    return [file.parent.name for file in DOCKERFILES]


def test_render_builds_both_services_and_asks_for_the_four_variables() -> None:
    blueprint = YAML(typ="safe").load((ROOT / "render.yaml").read_text())
    assert [service["name"] for service in blueprint["services"]] == [
        f"memoria-{name}" for name in reversed(services())
    ]
    for service in blueprint["services"]:
        assert (ROOT / service["dockerfilePath"]).is_file()
        asked = {entry.get("key") for entry in service["envVars"] if entry.get("sync") is False}
        assert asked >= REQUIRED


@pytest.mark.parametrize("service", services())
def test_railway_builds_from_the_same_dockerfile(service: str) -> None:
    config = json.loads((ROOT / "functions" / service / "railway.json").read_text())
    assert config["build"]["dockerfilePath"] == f"functions/{service}/Dockerfile"
    assert config["deploy"]["healthcheckPath"] == "/ready"


def variables(text: str) -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE))


def test_the_example_environment_names_every_setting() -> None:
    named = variables((ROOT / ".env.example").read_text())
    assert {name.upper() for name in Settings.model_fields} <= named


def test_deploy_passes_every_setting_on() -> None:
    script = (ROOT / "deploy" / "settings.sh").read_text()
    passed = set(re.findall(r"[A-Z][A-Z_]+", script[: script.index("DEPLOY_SETTINGS=")]))
    assert {name.upper() for name in Settings.model_fields} - {"USE_GPU"} <= passed


def test_four_variables_are_enough_to_start() -> None:
    assert Settings.from_env(dict.fromkeys(REQUIRED, "https://a.example"))


def metric_types(text: str) -> set[str]:
    return set(re.findall(r'metric\.type=\\"([^\\]+)\\"', text))


def test_dashboard_and_alerts_read_metrics_that_exist() -> None:
    ours = {OURS + file.stem for file in (MONITORING / "metrics").glob("*.json")}
    texts = [file.read_text() for file in [MONITORING / "dashboard.json", *ALERTS]]
    used = set().union(*map(metric_types, texts))
    assert {metric for metric in used if metric.startswith(OURS)} == ours
    assert {metric.split("/")[0] for metric in used - ours} == {"run.googleapis.com"}


def test_log_based_metrics_read_events_that_the_code_logs() -> None:
    source = "".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    for file in (MONITORING / "metrics").glob("*.json"):
        for event in re.findall(
            r'jsonPayload\.message="(\w+)"', json.loads(file.read_text())["filter"]
        ):
            assert f'log.event("{event}"' in source.replace("\n            ", ""), event


def slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def operations() -> str:
    return (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("file", ALERTS, ids=lambda path: path.stem)
def test_every_alert_has_its_chapter_in_the_runbook(file: Path) -> None:
    headings = {
        slug(line.lstrip("# ")) for line in operations().splitlines() if line.startswith("#")
    }
    anchor = json.loads(file.read_text())["documentation"]["content"].rpartition("#")[2]
    assert anchor in headings


def codes() -> list[str]:
    found = {kind.code for kind in vars(errors).values()
             if isinstance(kind, type) and issubclass(kind, errors.MemoriaError)}  # fmt: skip
    return sorted(found)


@pytest.mark.parametrize("code", codes())
def test_every_reason_for_failure_is_in_the_runbook(code: str) -> None:
    assert f"`{code}`" in operations()


def gcloud_tree() -> dict[str, dict[str, dict[str, object]]]:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not installed: its own list of flags cannot be asked")
    file = Path(gcloud).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
    tree: dict[str, dict[str, dict[str, object]]] = runpy.run_path(str(file))[
        "STATIC_COMPLETION_CLI_TREE"
    ]
    return tree


def test_every_command_and_flag_is_one_of_gclouds_own(tmp_path: Path) -> None:
    tree = gcloud_tree()
    cloud = Cloud(tmp_path)
    closed = ["--gpu", "--no-invoker-iam", "--media-bucket", "b"]
    calls = []
    for words in ([], closed, ["monitoring"], ["monitoring"], ["rollback"]):
        assert cloud.deploy(*words, "--project", "p-1").returncode == 0
        calls += cloud.calls()
    for words in calls:
        node, flags = tree, set(tree["flags"])
        for word in (word for word in words if not word.startswith("-")):
            node = node.get("commands", {}).get(word, node)  # type: ignore[assignment]
            flags |= set(node.get("flags", {}))
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--"):
                assert {name, name.replace("--no-", "--", 1)} & flags, words
