"""Roll-outs in either order: what each side states decides, not who came first."""

import pytest

from memoria.agreement import OURS, Agreement
from memoria.cli.diagnosis import together

ONE = Agreement(made_for=1, works_with=1)
READY = Agreement(made_for=2, works_with=1)  # knows the new way, and still the old one
AFTER = Agreement(made_for=3, works_with=2)  # the old way is gone


@pytest.mark.parametrize(
    ("functions", "database", "state", "mend"),
    [
        (ONE, ONE, "ok", ""),
        (ONE, READY, "ok", ""),  # the database first
        (READY, ONE, "ok", ""),  # the functions first
        (READY, READY, "ok", ""),
        (READY, AFTER, "ok", ""),
        (AFTER, READY, "ok", ""),
        (ONE, AFTER, "wrong", "./deploy.sh"),  # one release was left out
        (AFTER, ONE, "wrong", "supabase db push"),
        (None, ONE, "note", ""),
        (ONE, None, "note", ""),
    ],
)
def test_each_pair(
    functions: Agreement | None, database: Agreement | None, state: str, mend: str
) -> None:
    found = together("process", functions, database)
    assert found.state == state
    assert found.mend.startswith(mend)


def test_what_is_told_is_read_back() -> None:
    assert Agreement.told({"agreement": OURS.json()}) == OURS


@pytest.mark.parametrize("stated", [None, {}, {"made_for": 1}, {"made_for": "x", "works_with": 1}])
def test_what_states_nothing_is_silent(stated: object) -> None:
    assert Agreement.told({"agreement": stated}) is None
    assert Agreement.told({}) is None


def test_we_work_with_ourselves() -> None:
    assert OURS.accepts(OURS)
