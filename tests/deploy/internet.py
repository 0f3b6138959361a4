"""What real curl talks to: the services that were deployed, and Supabase, over TLS on loopback.

A service answers as its revision would: with the secrets of the versions that it was deployed with.
"""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Cloud(Protocol):
    """What runs where services run: it is told where, and says with which secrets."""

    url: str

    @property
    def state(self) -> dict[str, Any]: ...


UNKNOWN = '{"error": {"code": "not_found", "message": "this search is not open"}}'


@cache
def certificate() -> tuple[bytes, bytes]:
    """A key and a certificate for localhost, as PEM; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, made.public_bytes(serialization.Encoding.PEM)


@dataclass
class Request:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Internet:
    """``with Internet(folder, project) as net``; all that answers is below ``url``.

    ``broken`` maps ``tag/service`` to the status of its /ready; ``missing`` are paths that this
    version does not have; ``strangers`` is what a request without a secret gets; ``on_ready`` is
    called when a candidate is asked whether it is ready.
    """

    folder: Path
    project: Cloud
    broken: dict[str, int] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    strangers: int = 401
    outcome: str = '{"status": "failed"}'
    status: int = 200  # that comes with it
    agreement: str = '{"made_for": 1, "works_with": 1}'  # of the functions
    database: str = '{"made_for": 1, "works_with": 1}'  # of the database
    supabase_status: int = 204
    doctor_status: int = 200  # of memoria_doctor
    unknown_at_first: int = 0  # times that its schema is not reloaded yet
    on_ready: Callable[[], object] | None = None
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        key, made = certificate()
        (self.folder / "key.pem").write_bytes(key)
        self.authority.write_bytes(made)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, self.folder / "key.pem")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.project.url = self.url
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_port}"

    def answer(self, request: Request) -> tuple[int, str]:
        self.requests.append(request)
        if request.path == "/rest/v1/rpc/memoria_configure":
            return self.supabase_status, ""
        if request.path == "/rest/v1/rpc/memoria_doctor":
            self.unknown_at_first -= 1
            status = 404 if self.unknown_at_first >= 0 else self.doctor_status
            said = "" if status == 200 else request.headers.get("apikey", "")  # as an echo would
            return status, f'{{"postgres": "17.4{said}", "agreement": {self.database}}}'
        _, tag, service, verb = request.path.split("/")
        if verb == "ready":
            if self.on_ready is not None:
                self.on_ready()
            return self.broken.get(f"{tag}/{service}", 200), "{}"
        if verb == "health":
            return 200, f'{{"status": "healthy", "agreement": {self.agreement}}}'
        return self._called(tag, service, verb, request)

    def _called(self, tag: str, service: str, verb: str, request: Request) -> tuple[int, str]:
        if verb in self.missing:
            return 404, UNKNOWN
        if "authorization" not in request.headers:
            return self.strangers, "{}"
        if request.headers["authorization"] != f"Bearer {self._secret_of(tag, service)}":
            return 401, '{"error": {"code": "unauthorized"}}'
        asked = json.loads(request.body)
        if verb == "search":
            return (404, UNKNOWN) if "consent" in asked else (400, "{}")
        return self.status, self.outcome

    def _secret_of(self, tag: str, service: str) -> str:
        state = self.project.state
        known = state["services"][service]
        name, _, number = known["revisions"][known["tags"][tag]]["secrets"][
            "WEBHOOK_SECRET"
        ].partition(":")
        versions: list[str] = state["secrets"][name]["versions"]
        return versions[-1 if number == "latest" else int(number) - 1]


def _handler(net: Internet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = net.answer(Request(self.command, self.path, headers, body))
            self.send_response(status)
            self.send_header("content-length", "0" if status == 204 else str(len(text)))
            self.end_headers()
            if status != 204:
                self.wfile.write(text.encode())

        do_GET = do_POST = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
