"""The imports hold to docs/architecture.md."""

import ast
import re
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
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
ROW = re.compile(r"^\| `([a-z_]+)/?` \| [^|]* \|([^|]*)\|$", re.MULTILINE)
SMALL = {"__init__", "__main__"}  # the version, and the door of the command line


def imported(module: Path) -> set[str]:
    """Every module that a file imports anywhere in it, by full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "memoria":
            names |= {f"memoria.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def modules() -> set[str]:
    """The modules and packages directly below the library."""
    modules = {path.stem for path in LIBRARY.glob("*.py")}
    return (modules | {path.parent.name for path in LIBRARY.glob("*/__init__.py")}) - SMALL


def imported_modules(module: str) -> set[str]:
    """Every other module that a file of the module imports, also for its types alone."""
    files = [LIBRARY / f"{module}.py", *(LIBRARY / module).rglob("*.py")]
    names = set[str]().union(*(imported(path) for path in files if path.is_file()))
    found = {name.split(".")[1] for name in names if name.startswith("memoria.")}
    return (found & modules()) - {module}


LAYERS = {
    module: set(re.findall("`([a-z_]+)`", names)) for module, names in ROW.findall(PAGE.read_text())
}


def test_the_table_names_every_room() -> None:
    assert set(LAYERS) == modules()


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_what_its_row_names(module: str) -> None:
    assert imported_modules(module) == LAYERS[module], "change the import, or the row in the page"


@pytest.mark.parametrize("module", LAYERS)
def test_no_arrow_leads_up(module: str) -> None:
    order = list(LAYERS)
    assert not [name for name in LAYERS[module] if order.index(name) <= order.index(module)]


def test_the_library_under_test_is_ours() -> None:
    assert Path(__file__).parents[2] in LIBRARY.parents


@pytest.mark.parametrize("module", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_array_code_knows_no_network_and_no_database(module: Path) -> None:
    assert not {name.split(".")[0] for name in imported(module)} & OUTSIDE


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in sys.modules after a statement in a fresh interpreter."""
    script = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    run = [sys.executable, "-c", script]
    told = subprocess.run(run, capture_output=True, text=True, check=True, cwd=LIBRARY.parents[1])
    return set(told.stdout.split())


def test_cluster_never_loads_the_vision_stack() -> None:
    loaded = loaded_by(
        "import memoria.services.cluster, memoria.cluster, memoria.people.regroup, "
        "memoria.store.people"
    )
    assert not loaded & {"onnxruntime", "cv2", "onnx", "insightface", "PIL", "skimage"}


def test_the_services_start_without_anything_heavy() -> None:
    loaded = loaded_by("import memoria.services.process, memoria.services.cluster")
    assert not loaded & {"onnxruntime", "cv2", "hdbscan", "sklearn", "scipy", "supabase", "numba"}


def test_process_never_loads_the_clustering_stack() -> None:
    loaded = loaded_by("import memoria.process, memoria.faces, memoria.media.source")
    assert not loaded & {"hdbscan", "sklearn"}
