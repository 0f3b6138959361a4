from urllib.parse import urlsplit

import pytest

from memoria.packs.catalogue import PACKS
from memoria.packs.pack import Pack
from memoria.packs.sources import WHEEL

OPEN = {"yunet_sface1", "yunet_auraface1", "yunet_sface1_int8"}


@pytest.fixture(params=PACKS.values(), ids=list(PACKS))
def pack(request: pytest.FixtureRequest) -> Pack:
    found: Pack = request.param
    return found


def test_a_pack_names_two_files_their_digests_and_where_they_come_from(pack: Pack) -> None:
    assert PACKS[pack.name] is pack
    assert pack.detector.file != pack.recogniser.file
    assert all(len(bytes.fromhex(network.sha256)) == 32 for network in pack.networks)
    for source in pack.sources:
        assert len(source) in (1, 2)
        for place in source:
            assert place.startswith(WHEEL) or urlsplit(place).scheme == "https"


def test_a_pack_says_in_one_sentence_who_may_use_it(pack: Pack) -> None:
    assert pack.licence.name
    assert pack.licence.meaning.endswith(".")
    assert pack.licence.must_be_accepted == (pack.name not in OPEN)


@pytest.mark.parametrize("name", ["buffalo_l", "yunet_sface1", "yunet_auraface1"])
def test_what_is_fetched_from_the_web_has_two_hosts(name: str) -> None:
    hosts = [{urlsplit(place).hostname for place in source} for source in PACKS[name].sources]
    assert len(hosts) == 2
    assert not hosts[0] & hosts[1] or name == "buffalo_l"  # two owners of one host


def test_scales_are_in_order(pack: Pack) -> None:
    scale = pack.detection
    assert 0 < scale.face < scale.settled <= scale.upright < 1
    assert pack.dimension in (128, 512)
