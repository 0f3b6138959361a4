"""What lies in the repository for others to read: build files, monitoring, the flags of gcloud."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from memoria import errors
from memoria.config import Settings
from tests.deploy.cloud import secret
from tests.deploy.project import ROOT, Cloud

MONITORING = ROOT / "deploy" / "monitoring"
DOCKERFILES = sorted((ROOT / "functions").glob("*/Dockerfile"))
ALERTS = sorted((MONITORING / "alerts").glob("*.json"))
SUPABASE_CLI = "3.1.0"  # the version that tests/database/test_supabase_cli.py runs
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


def cloud_build() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load((ROOT / "cloudbuild.yaml").read_text())
    return read


def test_every_image_that_builds_is_pinned() -> None:
    """To a version at least, none to a tag that moves with the next one."""
    text = (ROOT / "cloudbuild.yaml").read_text()
    images = [step["name"] for step in cloud_build()["steps"]]
    images += re.findall(r"--driver-opt=image=(\S+)", text)
    assert len(images) == 4
    for image in images:
        assert re.search(r"(:v?\d+\.\d+\.\d+(-[a-z]+)?|@sha256:[0-9a-f]{64})$", image), image


def test_the_supabase_cli_is_pinned_everywhere_it_is_named() -> None:
    pinned = f"supabase@{SUPABASE_CLI}"
    named = []
    for folder in ("*.md", "docs/**/*.md", "shared/**/*.py", "deploy/*.sh", "tests/database/*.py"):
        for file in ROOT.glob(folder):
            found = re.findall(r"npx (supabase\S*)|\"(supabase@[\d.]+)\"", file.read_text())
            named += [(file.name, first or second) for first, second in found]
    assert named
    assert not [place for place in named if place[1] != pinned]


def test_what_is_pushed_goes_to_the_project() -> None:
    """Since its third release the CLI pushes to the local stack where nothing else is said."""
    pushed = []
    for folder in ("README.md", "docs/*.md", "shared/memoria/cli/*.py"):
        for file in ROOT.glob(folder):
            pushed += re.findall(r"npx.* db push(.*)", file.read_text())
    assert len(pushed) > 5
    assert [rest for rest in pushed if "--remote" not in rest] == []


@pytest.mark.parametrize("name", ["_TAG", "_ONLY", "_MODEL_PACK", "_REGION", "_WEIGHTS", "_TARGET"])
def test_a_substitution_is_never_part_of_a_script(name: str, tmp_path: Path) -> None:
    """Every step's script, run as Cloud Build would make it, with a value that is a command."""
    build = cloud_build()
    values = {**build["substitutions"], "PROJECT_ID": "p-1", name: f'"; touch {tmp_path}/pwned; "'}
    values = {key: str(value) for key, value in values.items()}

    def replaced(text: str) -> str:
        for key in sorted(values, key=len, reverse=True):
            text = values[key].join(re.split(rf"(?<!\$)\${key}\b", text))
        return text.replace("$$", "$")

    for step in build["steps"]:
        environ = dict(replaced(entry).split("=", 1) for entry in step.get("env", []))
        for tool in ("docker", "gcloud", "make"):
            (tmp_path / tool).write_text("#!/bin/sh\nexit 0\n")
            (tmp_path / tool).chmod(0o755)
        subprocess.run(
            ["bash", step["args"][0], replaced(step["args"][1])], cwd=tmp_path, check=False,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environ}, capture_output=True,
        )  # fmt: skip
    assert not (tmp_path / "pwned").exists()


def test_the_dockerfiles_are_clean() -> None:
    check(tool("hadolint"), *map(str, DOCKERFILES))


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


def test_render_can_have_search_too() -> None:
    (service,) = YAML(typ="safe").load((ROOT / "deploy" / "render-search.yaml").read_text())[
        "services"
    ]
    assert (ROOT / service["dockerfilePath"]).is_file()
    assert {"key": "SEARCH", "value": "only"} in service["envVars"]
    asked = {entry.get("key") for entry in service["envVars"] if entry.get("sync") is False}
    assert asked >= REQUIRED | {"SEARCH_ORIGINS"}


def test_render_and_cloud_build_name_the_same_pack() -> None:
    blueprint = YAML(typ="safe").load((ROOT / "render.yaml").read_text())
    (group,) = blueprint["envVarGroups"]
    (pack,) = (entry["value"] for entry in group["envVars"] if entry["key"] == "MODEL_PACK")
    assert cloud_build()["substitutions"]["_MODEL_PACK"] == pack == "buffalo_l"


SAYS_WHAT_IT_WAS_GIVEN = """#!/bin/bash
env
echo WORDS "$@"
until [[ $1 == --env-file ]]; do shift; done
cat "$2"
"""


@pytest.mark.parametrize(
    ("substitutions", "words"),
    [
        ({}, []),
        ({"_TARGET": "gpu"}, ["--gpu"]),
        ({"_TARGET": "openvino"}, ["--inference", "openvino"]),
        ({"_ONLY": "cluster"}, ["--only", "cluster"]),
    ],
)
def test_a_trigger_deploys_what_it_built(
    substitutions: dict[str, str], words: list[str], tmp_path: Path
) -> None:
    """The last step's script, with deploy.sh replaced by one that says what it was given."""
    (step,) = (step for step in cloud_build()["steps"] if step["id"] == "deploy")
    values = {**cloud_build()["substitutions"], "_SEARCH": "on", "_MODEL_PACK": "yunet_sface1"}
    values |= {"_CLUSTER_MEMORY": "32Gi", "PROJECT_ID": "p-1", **substitutions}
    values["_SETTINGS"] = "SEARCH_ORIGINS=https://a.example,https://b.example;MAX_IN_FLIGHT=64"
    environ = {
        name: values[value.removeprefix("$")]
        for name, value in (entry.split("=", 1) for entry in step["env"])
    }
    (tmp_path / "gcloud").write_text("#!/bin/sh\necho secret\n")
    (tmp_path / "deploy.sh").write_text(SAYS_WHAT_IT_WAS_GIVEN)
    for tool in ("gcloud", "deploy.sh"):
        (tmp_path / tool).chmod(0o755)
    done = subprocess.run(
        ["bash", step["args"][0], step["args"][1].replace("$$", "$")], cwd=tmp_path, check=True,
        env={**environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert {"SEARCH=on", "MODEL_PACK=yunet_sface1", "CLUSTER_MEMORY=32Gi"} <= set(lines)
    assert lines[-2:] == ["SEARCH_ORIGINS=https://a.example,https://b.example", "MAX_IN_FLIGHT=64"]
    (given,) = (line.split() for line in lines if line.startswith("WORDS"))
    after = given[given.index("--no-build") + 1 :]
    assert (after[0], after[2:]) == ("--env-file", words)


@pytest.mark.parametrize("service", services())
def test_railway_builds_from_the_same_dockerfile(service: str) -> None:
    config = json.loads((ROOT / "functions" / service / "railway.json").read_text())
    assert config["build"]["dockerfilePath"] == f"functions/{service}/Dockerfile"
    assert config["deploy"]["healthcheckPath"] == "/ready"


CHOICES = {"--pack": "MODEL_PACK", "--with-search": "SEARCH", "--cluster-cpu": "CLUSTER_CPU",
           "--cluster-memory": "CLUSTER_MEMORY"}  # fmt: skip


@pytest.mark.parametrize(("option", "variable"), CHOICES.items())
def test_cloud_build_offers_what_deploy_offers(option: str, variable: str) -> None:
    assert option in (ROOT / "deploy" / "settings.sh").read_text()
    (step,) = (step for step in cloud_build()["steps"] if step["id"] == "deploy")
    assert f"{variable}=$_{variable}" in step["env"]
    assert f"_{variable}" in cloud_build()["substitutions"]


@pytest.mark.parametrize("platform", ["Render", "Railway"])
def test_the_other_platforms_offer_it_too(platform: str) -> None:
    text = (ROOT / "docs" / "deployment.md").read_text()
    chapter = text.partition(f"\n## {platform}\n")[2].partition("\n## ")[0]
    for named in ("--cluster-memory", "MODEL_PACK", "SEARCH=only"):
        assert named in chapter, named


def test_the_pace_on_other_platforms_fits_an_instance() -> None:
    """One instance of 2 GB with the threads of the blueprint, by the arithmetic of limits.sh."""
    chapter = (ROOT / "docs" / "deployment.md").read_text().partition("\n## Render\n")[2]
    found = re.search(r'"max_in_flight": (\{[^}]*\})', chapter)
    assert found
    pace = json.loads(found[1])
    (group,) = YAML(typ="safe").load((ROOT / "render.yaml").read_text())["envVarGroups"]
    (threads,) = (int(entry["value"]) for entry in group["envVars"] if entry["key"] == "THREADS")
    assert sum(pace.values()) < threads  # /health answers while all of them wait
    limits = (ROOT / "deploy" / "limits.sh").read_text()
    taken = {name: int(mib) for name, mib in re.findall(r"^(\w+)_MIB=(\d+)$", limits, re.MULTILINE)}
    needed = sum(taken.values()) + (pace["process"] - 1) * taken["REQUEST"]
    assert needed * 2**20 <= 2_000_000_000


def variables(text: str) -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE))


def test_the_example_environment_names_every_setting() -> None:
    named = variables((ROOT / ".env.example").read_text())
    assert {name.upper() for name in Settings.model_fields} <= named


def test_deploy_passes_every_setting_on() -> None:
    script = (ROOT / "deploy" / "values.sh").read_text()
    passed = set(re.findall(r"[A-Z][A-Z_]+", script[: script.index("DEPLOY_SETTINGS=")]))
    assert {name.upper() for name in Settings.model_fields} - {"USE_GPU", "SEARCH"} <= passed


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


def test_every_command_and_flag_is_one_of_gclouds_own(deployed: Cloud) -> None:
    tree = gcloud_tree()
    closed = ["--gpu", "--no-invoker-iam", "--media-bucket", "b1", "--only", "process"]
    back = ["rollback", "--only", "process"]
    calls = deployed.calls()
    for words in (closed, back, ["monitoring"], ["monitoring"], ["connect"]):
        done = deployed.deploy(*words)
        assert done.returncode == 0, done.stderr
        calls += deployed.calls()
    deployed.deploy(CLOUD_FAILS="run deploy")
    calls += deployed.calls()
    assert any(words[:2] == ["logging", "read"] for words in calls)
    deployed.state["secrets"]["memoria-deploying"] = secret({})
    deployed.deploy("unlock")
    calls += deployed.calls()
    for words in calls:
        node, flags = tree, set(tree["flags"])
        for word in (word for word in words if not word.startswith("-")):
            node = node.get("commands", {}).get(word, node)  # type: ignore[assignment]
            flags |= set(node.get("flags", {}))
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--"):
                assert {name, name.replace("--no-", "--", 1)} & flags, words
