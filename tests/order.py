"""What one of several processes runs in one go, and what is begun first."""

import pytest
from xdist.scheduler import LoadFileScheduling

# Their tests share a system that takes ten seconds to make: one process makes it. Everything else
# is shared out file by file.
TOGETHER = ("tests/gallery", "tests/clients", "tests/local/supabase")
# By how long they take, so that no process is left with one of them at the end. Behind them come
# the files with a test that is marked slow, then all others.
LONGEST = (
    "tests/gallery",
    "tests/system/test_images.py",
    "tests/demo/test_demo.py",
    "tests/chaos/test_chaos.py",
    "tests/demo/test_migrate_model.py",
    "tests/local/test_serve.py",
    "tests/clients",
    "tests/deploy/test_deploy.py",
    "tests/deploy/test_failures.py",
    "tests/local/supabase",
    "tests/functions/test_work.py",
)


def unit(nodeid: str) -> str:
    """The folder or the file that a test is run with."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)


def longest_first(items: list[pytest.Item]) -> None:
    """Sorts tests: a unit stays in one piece, and in its own order."""
    slow = {unit(item.nodeid) for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> tuple[int, bool]:
        mine = unit(item.nodeid)
        return (LONGEST.index(mine) if mine in LONGEST else len(LONGEST), mine not in slow)

    items.sort(key=place)


class ByUnit(LoadFileScheduling):
    """``--dist loadfile``, but for the folders whose tests stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
