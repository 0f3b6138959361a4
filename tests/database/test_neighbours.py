"""What a call costs does not hang on what lies in other events."""

import pytest

from tests.database.caller import Caller, Database
from tests.database.test_reading import READS, make_event
from tests.database.test_roles import DEEDS, RIGHTS, Deed, Party, party

__all__ = ["party"]  # the fixture
FACES = 20_000  # in the event next door


def rows_read(who: Caller, deed: Deed, party: Party) -> int:
    """By this call, and by what it leaves to the commit; nothing of it stays."""
    with who.connection.transaction(force_rollback=True):
        before = reads(who)
        deed(who, party)
        who.connection.execute("set constraints all immediate")
        return reads(who) - before


def reads(who: Caller) -> int:
    who.connection.execute("reset role")
    row = who.connection.execute(READS.encode()).fetchone()
    assert row is not None
    return int(row[0] or 0)


@pytest.mark.parametrize("analyzed", [False, True])
def test_no_call_reads_the_event_next_door(db: Database, party: Party, *, analyzed: bool) -> None:
    make_event(db, faces=FACES, people=1_000)
    if analyzed:
        db.do("analyze")
    read = {deed: rows_read(party["owner"], RIGHTS[right][deed], party) for right, deed in DEEDS}
    assert not {deed: rows for deed, rows in read.items() if rows > 200}
