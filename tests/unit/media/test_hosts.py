import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria.errors import MediaForbidden, MediaUnavailable
from memoria.media.hosts import AllowedHosts, is_public, system_resolver

SUPABASE = "https://project.supabase.co"


def public(*_: object) -> list[str]:
    return ["8.8.8.8"]


@pytest.fixture
def allowed() -> AllowedHosts:
    return AllowedHosts(SUPABASE, ["cdn.example.com", " photos.example.org:8443 ", ""])


@pytest.mark.parametrize(
    "url",
    [
        f"{SUPABASE}/storage/v1/object/sign/photos/a.jpg?token=x",
        "https://project.supabase.co:443/a",
        "https://PROJECT.supabase.co/a",
        "https://storage.googleapis.com/bucket/a.jpg?X-Goog-Signature=x",
        "https://cdn.example.com/a%20b.jpg#fragment",
        "https://photos.example.org:8443/a",
    ],
)
def test_allowed_hosts_are_admitted(allowed: AllowedHosts, url: str) -> None:
    assert str(allowed.admit(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://project.supabase.co/a",
        "https://project.supabase.co:8443/a",
        "https://photos.example.org/a",
        "http://cdn.example.com/a",
        "https://sub.cdn.example.com/a",
        "https://example.com/a",
    ],
)
def test_another_scheme_port_or_name_is_another_place(allowed: AllowedHosts, url: str) -> None:
    with pytest.raises(MediaForbidden, match="MEDIA_URL_HOSTS"):
        allowed.admit(url)


def test_a_local_supabase_is_reached_over_http_at_its_own_port_only() -> None:
    allowed = AllowedHosts("http://127.0.0.1:54321")
    url = allowed.admit("http://127.0.0.1:54321/storage/v1/a")
    assert allowed.addresses(url) == ["127.0.0.1"]
    for other in ("http://127.0.0.1:54322/a", "http://127.0.0.1/a", "http://localhost:54321/a"):
        with pytest.raises(MediaForbidden):
            allowed.admit(other)


def test_the_host_of_a_local_supabase_over_https_gets_no_exemption() -> None:
    allowed = AllowedHosts("http://127.0.0.1:54321")
    url = allowed.admit("https://127.0.0.1/a")
    with pytest.raises(MediaForbidden, match="not public"):
        allowed.addresses(url)


def test_an_inner_address_stays_out_even_when_its_host_is_listed() -> None:
    allowed = AllowedHosts(SUPABASE, ["10.0.0.5"])
    with pytest.raises(MediaForbidden, match="not public"):
        allowed.addresses(allowed.admit("https://10.0.0.5/a"))


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    mixed = AllowedHosts(SUPABASE, ["cdn.example.com"], resolver=lambda *_: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(MediaForbidden, match="not public"):
        mixed.addresses(mixed.admit("https://cdn.example.com/a"))


def test_public_addresses_come_back_in_the_resolvers_order() -> None:
    answers = ["2606:4700::1111", "8.8.8.8"]
    allowed = AllowedHosts(SUPABASE, ["cdn.example.com"], resolver=lambda *_: answers)
    assert allowed.addresses(allowed.admit("https://cdn.example.com/a")) == answers


def test_a_name_is_looked_up_once_with_the_port_it_is_wanted_for() -> None:
    asked: list[tuple[str, int]] = []

    def resolver(name: str, port: int) -> list[str]:
        asked.append((name, port))
        return ["8.8.8.8"]

    allowed = AllowedHosts(SUPABASE, ["photos.example.org:8443"], resolver=resolver)
    allowed.addresses(allowed.admit("https://photos.example.org:8443/a"))
    assert asked == [("photos.example.org", 8443)]


def test_a_name_that_does_not_resolve_may_do_so_later() -> None:
    def unknown(*_: object) -> list[str]:
        raise OSError("Name or service not known")

    for resolver in (unknown, lambda *_: []):
        allowed = AllowedHosts(SUPABASE, resolver=resolver)
        with pytest.raises(MediaUnavailable, match="does not resolve"):
            allowed.addresses(allowed.admit(f"{SUPABASE}/a"))


def test_the_systems_resolver_knows_literal_addresses() -> None:
    assert system_resolver("127.0.0.1", 80) == ["127.0.0.1"]
    assert system_resolver("::1", 80) == ["::1"]


@pytest.mark.parametrize("address", ["8.8.8.8", "142.250.74.59", "2606:4700::1111", "2a00:1::5e"])
def test_machines_of_the_public_internet_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_every_way_to_write_an_inner_v4_address_inside_v6_is_refused(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),  # v4-mapped
        ipaddress.IPv6Address(number),  # v4-compatible
        ipaddress.IPv6Address((0x0064FF9B << 96) | number),  # NAT64
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),  # 6to4
        ipaddress.IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),  # Teredo
    ]
    assert not any(is_public(str(way)) for way in wrapped)


@given(st.ip_addresses())
def test_no_address_that_python_calls_private_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(str(address))


@given(st.text())
def test_any_text_is_refused_or_leads_to_an_allowed_place(text: str) -> None:
    allowed = AllowedHosts(SUPABASE, resolver=public)
    for url in (text, f"https://{text}", f"https://{text}@project.supabase.co/"):
        try:
            admitted = allowed.admit(url)
        except MediaForbidden:
            continue
        assert admitted.host in {"project.supabase.co", "storage.googleapis.com"}
        assert admitted.scheme == "https"
        assert not admitted.userinfo
