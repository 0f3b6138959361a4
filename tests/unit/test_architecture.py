"""The imports hold to docs/architecture.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import memoria

LIBRARY = Path(memoria.__file__).parent
OUTSIDE = {"flask", "httpx", "httpcore", "supabase", "postgrest", "storage3", "google", "psycopg"}
PURE = [
    *(LIBRARY / "clustering").glob("*.py"),
    *(LIBRARY / "people").glob("*.py"),
    *(LIBRARY / "faces").glob("geometry*.py"),
]
INNER_RIM = {"memoria.http", "memoria.config", "memoria.callback", "memoria.services"}


def imported(module: Path) -> set[str]:
    """Every module that a file imports anywhere in it, by full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_the_library_under_test_is_ours() -> None:
    assert Path(__file__).parents[2] in LIBRARY.parents


@pytest.mark.parametrize("module", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_array_code_knows_no_network_and_no_database(module: Path) -> None:
    names = imported(module)
    assert not {name.split(".")[0] for name in names} & OUTSIDE
    assert not names & INNER_RIM
    assert not any(name.startswith("memoria.store") for name in names)


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in sys.modules after a statement in a fresh interpreter."""
    script = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    run = [sys.executable, "-c", script]
    told = subprocess.run(run, capture_output=True, text=True, check=True, cwd=LIBRARY.parents[1])
    return set(told.stdout.split())


def test_cluster_never_loads_the_vision_stack() -> None:
    loaded = loaded_by(
        "import memoria.services, memoria.cluster, memoria.store.people, memoria.people.regroup"
    )
    assert not loaded & {"onnxruntime", "cv2", "onnx", "insightface", "PIL", "skimage"}


def test_the_services_start_without_anything_heavy() -> None:
    loaded = loaded_by("import memoria.services")
    assert not loaded & {"onnxruntime", "cv2", "hdbscan", "sklearn", "scipy", "supabase", "numba"}


def test_process_never_loads_the_clustering_stack() -> None:
    loaded = loaded_by("import memoria.process, memoria.faces, memoria.media.source")
    assert not loaded & {"hdbscan", "sklearn"}
