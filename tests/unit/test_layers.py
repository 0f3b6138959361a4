"""What stands around the library knows its place, too: who may import whom outside of it."""

import pytest

from tests.documents import ROOT
from tests.unit.test_architecture import imported

# a folder -> what no file below it imports
FORBIDDEN = {
    "shared/memoria": ("local", "benchmarks", "experiments", "tests"),
    "functions": ("local", "benchmarks", "experiments", "tests"),
    "local/supabase": ("local.processes", "local.demo", "benchmarks", "experiments", "tests"),
    "local/processes": ("local.demo", "benchmarks", "experiments", "tests"),
    "local/demo": ("benchmarks", "experiments", "tests"),
    "schemas": ("local", "benchmarks", "experiments", "tests"),
    "benchmarks": ("experiments",),
    "experiments": ("tests",),
    "tests": ("experiments",),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_nothing_is_imported_from_above(folder: str) -> None:
    above = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in sorted(imported(path))
        if any(f"{name}.".startswith(f"{module}.") for module in FORBIDDEN[folder])
    ]
    assert above == []
