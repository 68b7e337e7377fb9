"""Signed calls between members: making the token of a call, checking that of one received. Not what a caller may do."""

from typing import Final, NamedTuple

from node.runtime.routes import Call
from protocol.calls import check_body, check_token, make_token
from protocol.errors import ProtocolError
from protocol.jws import Keyring
from protocol.suite import SigningKey

_SCHEME: Final = "Bearer "


class Caller(NamedTuple):
    """Who called, and the body it announced."""

    node: str
    body: bytes


async def authenticate(call: Call, keyring: Keyring, *, net: str, aud: str, now: int) -> Caller:
    """Checks the token before the body is read, then the body. Raises `unauthenticated`, `too-fast`."""
    given = call.headers.get("authorization", "")
    if not given.startswith(_SCHEME):
        raise ProtocolError("unauthenticated", field="authorization")
    token = check_token(given[len(_SCHEME) :], keyring, net=net, aud=aud, method=call.method, path=call.target, now=now)
    call.admit(token.node)
    body = await call.body()
    check_body(token, body)
    return Caller(token.node, body)


def signed_headers(
    key: SigningKey, *, net: str, me: str, aud: str, method: str, target: str, now: int, body: bytes | None
) -> dict[str, str]:
    """The headers of a call of ours; `target` is path and query exactly as they will be sent."""
    token = make_token(key, net=net, iss=me, aud=aud, method=method, path=target, now=now, body=body)
    headers = {"Authorization": _SCHEME + token}
    if body is not None:
        headers["Content-Type"] = "application/json"
    return headers
