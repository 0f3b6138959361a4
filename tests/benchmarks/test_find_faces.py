"""The command that prints the figures of finding faces, on a handful of photos."""

from dataclasses import replace

import pytest

from benchmarks.find_faces import PACK, Meter, Table, cost, faceless, labels, portraits
from memoria.faces import open_engine
from memoria.packs.folder import locate
from memoria.packs.session import open_session
from tests.data import PHOTOS, PORTRAITS, SMALL_PACK, needs

pytestmark = needs(SMALL_PACK, PORTRAITS, PHOTOS)


def test_a_small_sample_reaches_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    engine = open_engine(PACK, threads=2)
    meter = Meter(open_session(locate(PACK).detector, threads=2))
    engine = replace(engine, search=replace(engine.search, detector=meter))
    table = Table()
    portraits(engine, table, every=len(labels("portraits")) // 8)
    faceless(engine, table, count=1)
    cost(engine, meter, table, every=12)  # fewer portraits would not have the mix of all photos
    lines = capsys.readouterr().out.splitlines()
    assert not table.failed, lines
    assert len(lines) == 7
    assert meter.passes > 0


def test_a_figure_that_is_not_reached_fails_the_table() -> None:
    table = Table()
    table.add("one", "1", "1", good=True)
    assert not table.failed
    table.add("two", "1", "2", good=False)
    assert table.failed
