"""Which pack the demo takes where the hoped-for one cannot be had."""

from pathlib import Path

import pytest
from rich.console import Console

from local.demo import weights
from local.demo.weights import DEFAULT_PACK, OFFLINE_PACK, choose_pack
from memoria.packs.pack import WeightsUnavailable


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object) -> Path:
        raise WeightsUnavailable("no route to github.com")

    monkeypatch.setattr(weights, "_fetched", fetch)
    monkeypatch.setattr(weights, "offline_pack", lambda: Path("/packs") / OFFLINE_PACK)


@pytest.mark.parametrize("name", ["yunet_sface1", DEFAULT_PACK])
def test_a_pack_that_was_named_is_not_replaced(name: str) -> None:
    told = f"{name} cannot be had .no route to github.com.: MODEL_PACK={OFFLINE_PACK} works"
    with pytest.raises(WeightsUnavailable, match=told):
        choose_pack({"MODEL_PACK": name}, Console())


def test_where_none_was_named_the_one_of_the_environment_serves_and_that_is_said() -> None:
    chosen = choose_pack({}, Console())
    assert chosen.environ["MODEL_PACK"] == OFFLINE_PACK
    assert f"{OFFLINE_PACK} is used instead" in chosen.notice
