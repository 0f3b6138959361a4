"""Attacks on the fetcher: whatever a media URL says, no request reaches an inner service."""

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from memoria.errors import MediaForbidden, MediaGone, MediaUnavailable
from memoria.media.hosts import AllowedHosts, is_public
from memoria.media.source import MediaSource
from tests.security.media_host import MediaHost, body, certificate, redirect, serving

SUPABASE = "https://project.supabase.co"
LISTED = "cdn.example.com"


@pytest.fixture(scope="module")
def inner() -> Iterator[MediaHost]:
    """The service that must never be asked."""
    with serving() as running:
        running.answers["/"] = body(b"secret")
        yield running


def never(*_: object) -> list[str]:
    raise AssertionError("a refused URL was looked up")


INNER_ADDRESSES = [
    # loopback, unspecified, this network
    "127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::",
    # private networks
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.254",
    # carrier-grade NAT, link-local, cloud metadata services
    "100.64.0.1", "100.127.255.254", "100.100.100.200", "169.254.0.1", "169.254.169.254",
    "169.254.170.2", "169.254.169.123", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254",
    # documentation, benchmarks, protocol assignments, relays
    "192.0.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "2001:db8::1", "2001:2::1", "2001:10::1", "3fff::1",
    # multicast, reserved, broadcast
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1",
    # IPv6: unique local, link-local (also with a zone), site-local, discard
    "fc00::1", "fd12:3456:789a::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "100::1",
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "::127.0.0.1", "::169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2002:c0a8:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "5f00::1", "4000::1", "8000::1",
    # not an address at all
    "", "localhost", "127.1", "0177.0.0.1", "0x7f000001", "2130706433", "8.8.8.8:80", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER_ADDRESSES)
def test_a_listed_name_that_resolves_inwards_is_refused(address: str) -> None:
    allowed = AllowedHosts(SUPABASE, [LISTED], resolver=lambda *_: [address])
    source = MediaSource(allowed=allowed, max_bytes=10, timeout_seconds=20)
    with pytest.raises(MediaForbidden, match="not public"):
        source.fetch(f"https://{LISTED}/a.jpg")


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


LITERALS = [literal(address) for address in INNER_ADDRESSES if address and "%" not in address]

HOSTS = [
    # the many spellings of loopback and of the metadata service
    "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost", "127.1",
    "127.0.1",
    "0", "00000000", "2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1", "017700000001", "0177.0.0.1",
    "0177.0000.0000.0001", "127.0.0.1.", "127.000.000.001", "2852039166", "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518", "metadata", "metadata.google.internal", "metadata.google.internal.",
    "instance-data", "kubernetes.default.svc", "127.0.0.1.nip.io", "169-254-169-254.sslip.io",
    "localtest.me", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::ffff:a9fe:a9fe]",
    # digits and dots that Unicode normalisation turns into ASCII
    "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "１２７.0.0.1", "loc\u00adalhost",
    # names that only look like an allowed one
    "project.supabase.co.evil.example", "evil-project.supabase.co", "project.supabase.com",
    "supabase.co", "other.supabase.co", "storage.googleapis.com.evil.example",
    "bucket.storage.googleapis.com", "storage-googleapis.com", "storage.googleapis.co",
    "storage.googleapis.com.", "project.supabase.co.", "project.supabase.co..", "xcdn.example.com",
    "cdn.example.com.evil.example", "example.com", "a.cdn.example.com", "cdn_example.com",
    "ѕtorage.googleapis.com", "storage.gооgleapis.com", "cdn.exаmple.com", "*", "*.example.com",
]  # fmt: skip


@pytest.mark.parametrize("host", LITERALS + HOSTS)
def test_a_host_that_is_not_listed_is_not_even_looked_up(host: str) -> None:
    source = MediaSource(
        allowed=AllowedHosts(SUPABASE, [LISTED], resolver=never), max_bytes=10, timeout_seconds=20
    )
    for url in (f"https://{host}/a.jpg", f"http://{host}/a.jpg", f"https://{host}:443/latest/"):
        with pytest.raises(MediaForbidden):
            source.fetch(url)


URLS = [
    # schemes
    "http://project.supabase.co/a", "http://storage.googleapis.com/a", "http://cdn.example.com/a",
    "file:///etc/passwd", "file://project.supabase.co/etc/passwd", "ftp://project.supabase.co/a",
    "gopher://project.supabase.co:443/_GET", "dict://project.supabase.co/",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)", "ws://project.supabase.co/", "wss://project.supabase.co/",
    "gs://bucket/a",
    "jar:https://project.supabase.co!/", "unix:///var/run/docker.sock",
    "ldap://project.supabase.co/",
    "HTTP://project.supabase.co/a", "https+unix://project.supabase.co/", "view-source:https://a/",
    # no scheme, no host, not a URL
    "", " ", "/", "//", "//project.supabase.co/a", "project.supabase.co/a", "a.jpg", "https:",
    "https:/",
    "https://", "https:///a", "https:project.supabase.co", "https:/project.supabase.co/a", "http",
    "https://?x", "https://#x", "://project.supabase.co/", "https//project.supabase.co",
    "https:\\\\project.supabase.co\\a", "\\\\project.supabase.co\\a",
    # ports
    "https://project.supabase.co:80/", "https://project.supabase.co:8443/",
    "https://project.supabase.co:22/", "https://project.supabase.co:99999/",
    "https://project.supabase.co:-1/", "https://project.supabase.co:a/",
    "https://project.supabase.co:443:80/",
    "https://storage.googleapis.com:444/", "https://cdn.example.com:6379/",
    # user names and passwords, and what hides behind them
    "https://user@project.supabase.co/", "https://user:password@project.supabase.co/",
    "https://project.supabase.co@evil.example/", "https://project.supabase.co:443@evil.example/",
    "https://evil.example@project.supabase.co/", "https://project.supabase.co%40evil.example/",
    "https://evil.example\\@project.supabase.co/", "https://project.supabase.co\\@evil.example/",
    "https://a@b@project.supabase.co/", "https://evil.example#@project.supabase.co/",
    "https://evil.example?@project.supabase.co/", "https://evil.example/@project.supabase.co/",
    "https://evil.example;project.supabase.co/", "https://evil.example,project.supabase.co/",
    # characters that parsers disagree about
    "https://project.supabase.co\\.evil.example/", "https://project.supabase.co%00.evil.example/",
    "https://project.supabase.co%2eevil.example/", "https://evil.example%23.project.supabase.co/",
    "https://evil.example%2f.project.supabase.co/", "https://project.supabase.co\x00/",
    "https://project.supabase.co\r\nHost: evil.example/", "https://project.supabase.co/\r\nX-A: b",
    "https://project.supabase.co\t/", "https://project.supabase.co\n.evil.example/",
    "https://project.supabase.co .evil.example/", " https://evil.example/",
    "https://evil.example /",
    "https://[project.supabase.co]/", "https://[::1/", "https://::1/", "https://[::1]:project/",
    "https://[::1%25lo]/", "https://[fe80::1%25eth0]/", "https://[v1.a]/",
    "https://%70roject.evil.example/",
    "https://project.supabase.co\u2024evil.example/",
    "https://evil.example\uff0fproject.supabase.co/",
    "https://evil.example\u2215project.supabase.co/", "https://" + "a" * 300 + ".co/",
    "https://" + "a." * 5000 + "co/", "https://project.supabase.co/" + "a" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
def test_a_url_that_is_not_plainly_an_allowed_one_is_not_looked_up(url: str) -> None:
    source = MediaSource(
        allowed=AllowedHosts(SUPABASE, [LISTED], resolver=never), max_bytes=10, timeout_seconds=20
    )
    with pytest.raises(MediaForbidden):
        source.fetch(url)


def test_only_text_is_read_as_a_url() -> None:
    allowed = AllowedHosts(SUPABASE, resolver=never)
    for thing in (None, 7, b"https://project.supabase.co/", ["https://project.supabase.co/"], {}):
        with pytest.raises(MediaForbidden):
            allowed.admit(thing)  # type: ignore[arg-type]


REDIRECTS = [
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "//127.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://127.1:{port}/", "http://2130706433:{port}/", "http://0x7f000001:{port}/",
    "http://0.0.0.0:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "https://127.0.0.1:{port}/",
    "http://169.254.169.254/computeMetadata/v1/", "http://metadata.google.internal/",
    "//evil.example/",
    "https://evil.example/", "file:///etc/passwd", "gopher://127.0.0.1:{port}/_GET",
    "ftp://127.0.0.1/",
    "http://user@127.0.0.1:{port}/", "http:\\\\127.0.0.1:{port}\\", "\\\\127.0.0.1:{port}\\",
    "/\\127.0.0.1:{port}/", "///127.0.0.1:{port}/", "http://127.0.0.1:{port}#@{home}/",
    "http://{home}@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@{home}/", "data:image/png,a",
    "javascript:alert(1)", "http://{home}%40127.0.0.1:{port}/",
]  # fmt: skip


@pytest.mark.parametrize("hops", [0, 2])
@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_inwards_is_not_followed(inner: MediaHost, location: str, hops: int) -> None:
    with serving() as home:
        place = location.format(port=inner.port, home=f"127.0.0.1:{home.port}")
        for hop in range(hops):
            home.answers[f"/{hop}"] = redirect(f"/{hop + 1}")
        home.answers[f"/{hops}"] = redirect(place)
        source = MediaSource(allowed=AllowedHosts(home.origin), max_bytes=100, timeout_seconds=20)
        with pytest.raises((MediaForbidden, MediaGone, MediaUnavailable)):
            source.fetch(f"{home.origin}/0")
    assert inner.asked == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_kind_of_redirect_leads_from_https_to_an_inner_address(
    inner: MediaHost, tmp_path: Path, code: int
) -> None:
    server, client = certificate(tmp_path, "media.test")
    with serving(server) as host:
        host.answers["/a"] = redirect(f"http://127.0.0.1:{inner.port}/", code)
        source = MediaSource(
            allowed=AllowedHosts(
                f"https://media.test:{host.port}", resolver=lambda *_: ["127.0.0.1"]
            ),
            max_bytes=100,
            timeout_seconds=20,
            ssl_context=client,
        )
        with pytest.raises(MediaForbidden):
            source.fetch(f"https://media.test:{host.port}/a")
    assert inner.asked == []


class Rebinding:
    """A name server that answers differently every time it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, name: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0)


@pytest.mark.parametrize("second", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.1"])
def test_a_name_is_never_looked_up_a_second_time_for_one_connection(
    monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    resolver = Rebinding(["8.8.8.8"], [second])
    connected: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    source = MediaSource(
        allowed=AllowedHosts(SUPABASE, [LISTED], resolver=resolver),
        max_bytes=10,
        timeout_seconds=20,
    )
    with pytest.raises(MediaUnavailable):
        source.fetch(f"https://{LISTED}/a.jpg")
    assert connected == [("8.8.8.8", 443)]
    assert resolver.asked == 1


def test_a_name_that_turns_inwards_between_two_fetches_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Rebinding(["8.8.8.8"], ["127.0.0.1"])
    connected: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    source = MediaSource(
        allowed=AllowedHosts(SUPABASE, [LISTED], resolver=resolver),
        max_bytes=10,
        timeout_seconds=20,
    )
    with pytest.raises(MediaUnavailable):
        source.fetch(f"https://{LISTED}/a.jpg")
    with pytest.raises(MediaForbidden):
        source.fetch(f"https://{LISTED}/a.jpg")
    assert connected == [("8.8.8.8", 443)]


@pytest.mark.parametrize("answers", [["8.8.8.8", "10.0.0.1"], ["::1", "8.8.8.8"], ["8.8.8.8", "x"]])
def test_a_name_with_one_inner_address_among_its_answers_is_refused(answers: list[str]) -> None:
    source = MediaSource(
        allowed=AllowedHosts(SUPABASE, [LISTED], resolver=lambda *_: answers),
        max_bytes=10,
        timeout_seconds=20,
    )
    with pytest.raises(MediaForbidden):
        source.fetch(f"https://{LISTED}/a.jpg")


def test_a_proxy_from_the_environment_is_not_used(
    inner: MediaHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, inner.origin)
    with serving() as home:
        home.answers["/a"] = body(b"photo")
        source = MediaSource(allowed=AllowedHosts(home.origin), max_bytes=100, timeout_seconds=20)
        assert source.fetch(f"{home.origin}/a") == b"photo"
    assert inner.asked == []


@pytest.mark.parametrize(
    "path",
    ["/a\r\nHost: evil", "/a\r\n\r\nGET /inner HTTP/1.1", "/%0d%0aHost:%20evil", "/a?b\r\nX: y"],
)
def test_a_path_cannot_smuggle_a_second_request(path: str) -> None:
    with serving() as home:
        home.answers["/a"] = body(b"photo")
        source = MediaSource(allowed=AllowedHosts(home.origin), max_bytes=100, timeout_seconds=20)
        for url in (f"{home.origin}{path}", f"{home.origin}{quote(path)}"):
            with pytest.raises(Exception, match=r".") as caught:
                source.fetch(url)
            assert type(caught.value).__module__ == "memoria.errors"
        assert all(asked[1] == f"127.0.0.1:{home.port}" for asked in home.asked)
        assert not any(asked[0].startswith("/inner") for asked in home.asked)


def test_a_host_cannot_set_headers_or_cookies_for_the_next_hop() -> None:
    with serving() as home:
        home.answers["/a"] = redirect("/b")
        home.answers["/b"] = body(b"photo", Set_Cookie="a=b")
        source = MediaSource(allowed=AllowedHosts(home.origin), max_bytes=100, timeout_seconds=20)
        assert source.fetch(f"{home.origin}/a") == b"photo"


def test_the_list_holds_more_than_two_hundred_attacks() -> None:
    assert len(INNER_ADDRESSES) + len(LITERALS) + len(HOSTS) + len(URLS) + 2 * len(REDIRECTS) > 200


def test_the_list_of_inner_addresses_agrees_with_the_machine() -> None:
    own = {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    loopback = {str(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")}
    assert not any(is_public(address) for address in loopback | own if "." in address)
