"""Where photos may be fetched from: the guard against server-side request forgery.

A URL is read once, by one parser, and what was checked is what is connected to: the host must be
on a short list, and its name is resolved once to addresses that are all public. The caller
connects to those very addresses, so a name that answers differently the second time (DNS
rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

import httpx

from memoria.errors import MediaForbidden, MediaUnavailable

Resolver = Callable[[str, int], Sequence[str]]

STORAGE_PATHS = ("/storage/v1/object/", "/storage/v1/render/")  # those below s3/ speak XML
DEFAULT_PORTS = {"https": 443, "http": 80}
# What IANA has given out for IPv6 unicast: outside lie loopback, link-local, unique local,
# site-local, v4-mapped, v4-compatible and NAT64 addresses, all of them ways to an inner network.
IPV6_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# What the interpreter's own tables, which differ from version to version, may call global.
NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, RFC 6890; a cloud metadata service lives here too
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",  # documentation, RFC 9637
    )
]


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses of ``host`` as the operating system knows them, best first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet and is one machine's."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # "fe80::1%eth0" and anything else that is no plain address
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip not in IPV6_GLOBAL_UNICAST):
        return False
    listed = any(ip in network for network in NOT_PUBLIC if network.version == ip.version)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or listed)


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port, with the scheme's own port spelled out."""
    return url.scheme, url.host, url.port or DEFAULT_PORTS.get(url.scheme, 0)


class AllowedHosts:
    """The hosts that photos may come from.

    ``supabase_url``: its exact origin (scheme, host, port) is always allowed, whatever its
    address, so that a self-hosted or local Supabase works. ``more``: host names, each with an
    optional ``:port``; reached over https only, at public addresses only.
    """

    def __init__(
        self, supabase_url: str, more: Iterable[str] = (), *, resolver: Resolver = system_resolver
    ) -> None:
        self._home = origin(httpx.URL(supabase_url))
        named = [httpx.URL(f"https://{name.strip()}") for name in more if name.strip()]
        self._homes = (self._home, ("https", self._home[1], DEFAULT_PORTS["https"]))
        google = ("https", "storage.googleapis.com", DEFAULT_PORTS["https"])
        self._allowed = frozenset([*self._homes, google, *map(origin, named)])
        self._resolver = resolver

    def admit(self, url: str) -> httpx.URL:
        """The URL, parsed, when its origin is allowed.

        Raises MediaForbidden; nothing is looked up or connected to.
        """
        try:
            parsed = httpx.URL(url)
            place = origin(parsed)
        except (httpx.InvalidURL, ValueError, TypeError) as exc:
            raise MediaForbidden("the media URL cannot be read") from exc
        if not parsed.host:
            raise MediaForbidden("the media URL names no host")
        if parsed.userinfo:
            raise MediaForbidden(f"{parsed.host}: a media URL carries no user name or password")
        if place not in self._allowed:
            raise MediaForbidden(
                f"{parsed.host}: only https URLs of the allowed hosts are fetched (MEDIA_URL_HOSTS)"
            )
        return parsed

    def is_storage(self, url: httpx.URL) -> bool:
        """Whether it is Supabase Storage that answers there, unless something before it does."""
        return origin(url) in self._homes and any(part in url.path for part in STORAGE_PATHS)

    def addresses(self, url: httpx.URL) -> list[str]:
        """The addresses to connect to for an admitted URL, looked up once.

        Raises MediaForbidden when one of them is not public, MediaUnavailable when there is none.
        """
        place = origin(url)
        try:
            found = list(self._resolver(place[1], place[2]))
        except (OSError, UnicodeError) as exc:
            raise MediaUnavailable(f"{url.host}: the name does not resolve") from exc
        if not found:
            raise MediaUnavailable(f"{url.host}: the name does not resolve")
        if place != self._home and not all(is_public(address) for address in found):
            raise MediaForbidden(f"{url.host}: the name leads to an address that is not public")
        return found
