"""Request tokens: a member signs each of its calls. Not what the caller may do, nor HTTP.

The token goes into `Authorization: Bearer …` and is checked when the headers arrive, before the body is read:
method, path and query, addressee and times; no host, there are reverse proxies. The body is checked when it is there.
"""

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from protocol.errors import ProtocolError
from protocol.jws import REQ, Keyring, parse_compact, sign_compact, verify_member
from protocol.limits import TOKEN_LIFETIME, TOKEN_MAX, TOKEN_SKEW
from protocol.names import check_node_id
from protocol.strict import decode, digest
from protocol.suite import SigningKey
from schemas.wire import RequestToken

_encode: Final = msgspec.json.Encoder().encode


class Call(Struct, frozen=True):
    """Who calls, for how long the token stands, and the digest of the body it announced."""

    node: str
    kid: str
    exp: int
    body: str | UnsetType = UNSET


def make_token(
    key: SigningKey, *, net: str, iss: str, aud: str, method: str, path: str, now: int, body: bytes | None = None
) -> str:
    """A token for one call. `aud` is a NodeId or relay id, `path` includes the query, `now` any known offset."""
    token = RequestToken(
        net=net,
        iss=iss,
        aud=aud,
        iat=now,
        exp=now + TOKEN_LIFETIME,
        method=method,
        path=path,
        body=digest(body) if body else UNSET,
    )
    return sign_compact(key, REQ, _encode(token))


def check_token(token: str, keyring: Keyring, *, net: str, aud: str, method: str, path: str, now: int) -> Call:
    """Everything that can be checked when the headers arrive. Raises unauthenticated, `got` naming the finer code."""
    try:
        return _check(token, keyring, {"net": net, "aud": aud, "method": method, "path": path}, now)
    except ProtocolError as error:
        if error.code == "unauthenticated":
            raise
        raise _refused(error.field, error.expected, error.code) from None


def _check(text: str, keyring: Keyring, wanted: dict[str, str], now: int) -> Call:
    jws = parse_compact(text, REQ, max_bytes=TOKEN_MAX)
    token = decode(jws.payload, RequestToken, max_bytes=TOKEN_MAX)
    verify_member(jws, check_node_id(token.iss, field="iss"), keyring)
    for name, value in (("net", token.net), ("aud", token.aud), ("method", token.method), ("path", token.path)):
        if value != wanted[name]:
            raise _refused(name)
    if not token.iat < token.exp <= token.iat + TOKEN_LIFETIME:
        raise _refused("exp", f"within {TOKEN_LIFETIME} s after iat")
    if token.iat > now + TOKEN_SKEW:
        raise _refused("iat", f"at most {now + TOKEN_SKEW}", "from-the-future")
    if token.exp <= now - TOKEN_SKEW:
        raise _refused("exp", f"after {now - TOKEN_SKEW}", "expired")
    return Call(token.iss, jws.kid, token.exp, token.body)


def check_body(call: Call, body: bytes) -> None:
    """The body is the one announced; an empty body is announced by nothing. Raises unauthenticated."""
    if call.body != (digest(body) if body else UNSET):
        raise _refused("body", "the digest of the body")


def _refused(field: str | None, expected: str | None = None, got: str | None = None) -> ProtocolError:
    return ProtocolError("unauthenticated", field=field, expected=expected, got=got)
