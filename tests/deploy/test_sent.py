"""What leaves this folder, for the build's bucket (.gcloudignore) and an image (.dockerignore)."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.project import ROOT
from tests.documents import tracked

DOCKERFILES = sorted((ROOT / "functions").glob("*/Dockerfile"))
FOR_THE_BUILD = {".dockerignore", "cloudbuild.yaml", "functions/gunicorn.conf.py"} | {
    f"functions/{service}/{name}"
    for service in ("process", "cluster")
    for name in ("Dockerfile", "main.py", "requirements.txt")
} | {f"functions/process/requirements-{target}.txt" for target in ("gpu", "openvino")}  # fmt: skip

ODD_FILES = [
    ".env", ".env.production", "prod.env", "key.json", "service-account.json", ".npmrc", "id_rsa",
    "functions/.env", "functions/key.json", "functions/process/.env.local", "deploy/key.json",
    "functions/process/service-account.json", "functions/process/keys/main.py", "local/.env",
    "shared/key.json", "shared/memoria/key.json", "shared/memoria/faces/prod.env",
    "out/people.json", "supabase/.temp/pooler-url", "functions/process/Dockerfile.env",
    "shared/memoria/.env", "shared/memoria/.env.py", "shared/memoria/faces/.secret.py",
    "shared/memoria/.venv/lib/x.py", "shared/memoria/faces/.cache/y.py", "shared/other/x.py",
    "functions/process/requirements-key.txt", "functions/cluster/requirements-gpu.txt",
    "functions/process/requirements.txt.bak", "functions/.hidden/main.py", "main.py",
    "functions/process/.main.py", "functions/key/main.py", "functions/key/requirements.txt",
    "functions/process/main.py.swp", "shared/memoria/x.py.env", "shared/memoria/py.typed.json",
    "shared/memoria/faces/py.typed", "shared/memoria/__pycache__/a.pyc", "shared/.env", "x.py",
    "shared/memoria/faces/__pycache__/b.py", "shared/memoria/key file.json",
    "shared/memoria/KEY.PY", "shared/memoria/people.db", "cloudbuild.yaml.env", "cloudbuild.yml",
    "process/main.py",
]  # fmt: skip
TRAVELS_TO_THE_BUILD = {"functions/process/Dockerfile", "functions/cluster/Dockerfile",
                        ".dockerignore", "cloudbuild.yaml"}  # fmt: skip


def library() -> set[str]:
    """The library's files."""
    names = (str(path.relative_to(ROOT)) for path in tracked())
    return {name for name in names if name.startswith("shared/memoria/")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with all that must stay here beside what is needed."""
    return checkout(tmp_path_factory.mktemp("checkout"))


def checkout(folder: Path) -> Path:
    sources = {".gcloudignore", *FOR_THE_BUILD, *library()}
    sources |= {str(file.relative_to(ROOT)) for file in (ROOT / "functions").glob("*/railway.json")}
    for name in sorted(sources):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ODD_FILES:
        assert name not in sources
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    return folder


def uploaded(folder: Path) -> set[str]:
    """The files of a folder that .gcloudignore lets through, as git reads it."""
    for words in (["init", "--quiet"], ["add", "--force", ".gcloudignore"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "--others", "--exclude-from=.gcloudignore", "-z"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(listed.stdout.split("\0")) - {""}


def in_context(folder: Path) -> set[str]:
    """The files that .dockerignore lets into a build, by Docker's rules.

    The last line that matches a file, or a folder around it, decides; ``*`` does not cross a ``/``,
    ``**/`` stands for any folders, or none. A folder that is left out is opened only where a line
    with ``!`` begins with its name.
    """
    lines = (folder / ".dockerignore").read_text().splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    rules = [(not line.startswith("!"), expression(line.removeprefix("!"))) for line in lines]
    openers = [line.removeprefix("!") for line in lines if line.startswith("!")]

    def left_out(name: str) -> bool:
        decided = False
        for leaves_out, pattern in rules:
            if pattern.match(name):
                decided = leaves_out
        return decided

    def closed(name: str) -> bool:
        return left_out(name) and not any(line.startswith(f"{name}/") for line in openers)

    names = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    parents = {parent for name in names for parent in map(str, Path(name).parents)} - {"."}
    shut = {parent for parent in parents if closed(parent)}
    return {
        name for name in names
        if not left_out(name) and not shut & set(map(str, Path(name).parents))
    }  # fmt: skip


def expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts) + "(?:/|$)")


def test_the_build_gets_what_the_images_are_made_of_and_nothing_else(folder: Path) -> None:
    assert uploaded(folder) == FOR_THE_BUILD | library()


def test_the_images_get_the_same_and_nothing_else(folder: Path) -> None:
    assert in_context(folder) == (FOR_THE_BUILD | library()) - TRAVELS_TO_THE_BUILD


def test_whatever_the_dockerfiles_copy_is_there(folder: Path) -> None:
    there = in_context(folder)
    for dockerfile in DOCKERFILES:
        text = dockerfile.read_text().replace("\\\n", " ")
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
            for source in line.split():
                assert {n for n in there if f"{n}/".startswith(f"{source}/")}, (dockerfile, source)
