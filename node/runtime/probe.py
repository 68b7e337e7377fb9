"""One look at a server: does it answer, what time has it, until when does its certificate hold. For doctor only.

It goes out as the program does (node.runtime.client): through the configured proxy, believing the configured authority,
to addresses that may be called; but blocking, so that a look needs no event loop.
"""

import base64
import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Final, Literal, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from node.runtime.addresses import is_loopback, may_connect, target
from node.runtime.config import HttpConfig
from protocol import paths
from protocol.errors import ProtocolError

T = TypeVar("T")
SECONDS: Final = 5.0
Why = Literal[
    "address", "name", "refused", "silent", "certificate", "certificate-expired", "proxy", "proxy-password", "stranger"
]
_HEAD_MAX: Final = 16 * 1024


class Seen(NamedTuple):
    """`why` is None when it answered as one of ours; times are Unix seconds, `until` None without TLS."""

    why: Why | None = None
    time: int | None = None
    until: int | None = None


class _FailedError(Exception):
    def __init__(self, why: Why) -> None:
        self.why: Why = why


def look(url: str, http_: HttpConfig) -> Seen:
    """GET /v1/health of the program at `url`. Never raises: what went wrong is in the answer."""
    try:
        to = target(url)
        port = to.port or (443 if to.scheme == "https" else 80)
        if to.scheme == "http" and not (http_.allow_plain_http_loopback and is_loopback(to.host)):
            return Seen("address")
        with contextlib.closing(_connected(to.host, port, http_)) as plain:
            if to.scheme == "http":
                return Seen(time=_health(plain, to.host))
            with contextlib.closing(_trust(http_).wrap_socket(plain, server_hostname=to.host)) as secure:
                until = dict(secure.getpeercert() or {}).get("notAfter")
                ends = int(ssl.cert_time_to_seconds(until)) if isinstance(until, str) else None
                return Seen(time=_health(secure, to.host), until=ends)
    except ssl.SSLCertVerificationError as error:
        return Seen("certificate-expired" if error.verify_code == _EXPIRED else "certificate")
    except _FailedError as failed:
        return Seen(failed.why)
    except ProtocolError:
        return Seen("address")
    except ConnectionRefusedError:
        return Seen("refused")
    except (OSError, http.client.HTTPException, ValueError):
        return Seen("silent")


_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def look_all(urls: Iterable[str], http_: HttpConfig) -> Mapping[str, Seen]:
    """Every one at once; who has not answered after twice SECONDS is silent (a name may take long to be looked up)."""
    return together({url: lambda url=url: look(url, http_) for url in urls}, Seen("silent"))  # type: ignore[misc]


def together(work: Mapping[str, Callable[[], T]], late: T, seconds: float = 2 * SECONDS) -> dict[str, T]:
    """Runs everything side by side in threads that end with the process."""
    done: dict[str, T] = {}

    def run(name: str, one: Callable[[], T]) -> None:
        done[name] = one()

    threads = [Thread(target=run, args=item, daemon=True) for item in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return {name: done.get(name, late) for name in work}


def reach_proxy(proxy: str) -> bool:
    """Somebody listens where the proxy is said to be."""
    try:
        _proxy_socket(proxy).close()
    except (OSError, ValueError):
        return False
    return True


def _proxy_socket(proxy: str) -> socket.socket:
    where = urlsplit(proxy)
    return socket.create_connection((where.hostname or "", where.port or 80), SECONDS)


def _connected(host: str, port: int, http_: HttpConfig) -> socket.socket:
    if http_.proxy is not None:
        return _through(http_.proxy, host, port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise _FailedError("name") from None
    allowed = [one for one in found if may_connect(str(one[4][0]), http_.allow_plain_http_loopback)]
    if not allowed:
        raise _FailedError("address")
    return socket.create_connection((str(allowed[0][4][0]), port), SECONDS)


def _through(proxy: str, host: str, port: int) -> socket.socket:
    try:
        connection = _proxy_socket(proxy)
    except (OSError, ValueError):
        raise _FailedError("proxy") from None
    try:
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        where = urlsplit(proxy)
        if where.username is not None:
            said = f"{unquote(where.username)}:{unquote(where.password or '')}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(said).decode()}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        status = _status(connection)
    except OSError:
        connection.close()
        raise _FailedError("proxy") from None
    if status != 200:
        connection.close()
        raise _FailedError("proxy-password" if status == 407 else "proxy")
    return connection


def _status(connection: socket.socket) -> int:
    """Of the proxy's answer, read to the end of its head and not a byte further."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(head) > _HEAD_MAX:
            return 0
        head += byte
    words = head.split(b"\r\n", 1)[0].split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _health(connection: socket.socket, host: str) -> int:
    spoken = http.client.HTTPConnection(host, timeout=SECONDS)
    spoken.sock = connection
    spoken.request("GET", paths.HEALTH, headers={"User-Agent": "raccordo", "Accept-Encoding": "identity"})
    answer = spoken.getresponse()
    raw = answer.read(_HEAD_MAX)
    try:
        held = json.loads(raw)
    except ValueError:
        raise _FailedError("stranger") from None
    found = held.get("server_time") if isinstance(held, dict) else None
    if answer.status != 200 or not isinstance(found, int):
        raise _FailedError("stranger")
    return found


def _trust(http_: HttpConfig) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=http_.ca_file)
