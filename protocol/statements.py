"""A member's own statements: the chain of signing keys, routes and sealing keys. Not whether the body is a member."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from protocol import jws
from protocol.errors import ProtocolError
from protocol.limits import CLOCK_AHEAD_MAX, KIB
from protocol.roots import TrustedRoot
from protocol.strict import b64u_decode, decode
from protocol.suite import SealingPublic, SigningKey, Suite, VerifyKey
from schemas.membership import Admission, KeyReason, KeyStatement, RoutesStatement

STATEMENT_MAX: Final = 8 * KIB
GENERAL_MAX: Final = 16 * KIB
How = Literal["first", "rotation", "compromise", "recovery"]


@dataclass(frozen=True, slots=True)
class ChainKey:
    """One signing key of a member: number in its chain, how it came, since when (the statement's own word)."""

    n: int
    key: VerifyKey
    how: How
    since: int
    revoked: bool = False

    @property
    def kid(self) -> str:
        return self.key.kid


@dataclass(frozen=True, slots=True)
class Routes:
    """A verified routes-and-sealing statement with its checked sealing keys (from, until or None)."""

    statement: RoutesStatement
    text: str
    sealing: tuple[tuple[int, int | None, SealingPublic], ...]

    def sealing_at(self, now: int) -> SealingPublic | None:
        """The newest key in force; a key may be used a clock's tolerance early."""
        valid = [
            (since, key)
            for since, until, key in self.sealing
            if since <= now + CLOCK_AHEAD_MAX and (until is None or now < until)
        ]
        return max(valid, key=lambda pair: pair[0])[1] if valid else None


# -- writing


def sign_key_statement(statement: KeyStatement, signer: SigningKey) -> str:
    """By the previous key, or by the recovery key when the reason says so."""
    return jws.sign_compact(signer, jws.KEY, msgspec.json.encode(statement))


def sign_recovery_by_guarantors(statement: KeyStatement, guarantors: Sequence[SigningKey]) -> str:
    """By the root threshold, when the member has lost its recovery key too."""
    return jws.sign_general(guarantors, jws.KEY, msgspec.json.encode(statement)).decode("ascii")


def sign_routes(statement: RoutesStatement, signer: SigningKey) -> str:
    return jws.sign_compact(signer, jws.RTS, msgspec.json.encode(statement))


# -- reading


def read_chain(admission: Admission, texts: Sequence[str], root: TrustedRoot) -> tuple[ChainKey, ...]:
    """The member's signing keys, oldest first; the last is current. Raises key-chain, bad-key.

    Each statement is signed by the previous key: the registry's signature alone changes no key.
    """
    chain = [ChainKey(1, _signing_key(root.suite, admission.first), "first", admission.iat)]
    for text in texts:
        statement = _read_link(text, admission, chain[-1], root)
        key = _signing_key(root.suite, statement.x)
        if key.kid in {link.kid for link in chain}:
            raise ProtocolError("key-chain", field="x", expected="a key not used before")
        if statement.reason != "rotation":
            chain[-1] = ChainKey(chain[-1].n, chain[-1].key, chain[-1].how, chain[-1].since, revoked=True)
        chain.append(ChainKey(statement.n, key, statement.reason, statement.iat))
    return tuple(chain)


def _read_link(text: str, admission: Admission, last: ChainKey, root: TrustedRoot) -> KeyStatement:
    try:
        payload, by = _verified_link(text, admission, last, root)
        statement = decode(payload, KeyStatement, max_bytes=STATEMENT_MAX)
    except ProtocolError as error:
        raise ProtocolError("key-chain", field=error.field, expected=error.expected, got=error.code) from None
    stated = (statement.net, statement.node, statement.n, statement.prev)
    if stated != (admission.net, admission.node, last.n + 1, last.kid):
        raise ProtocolError("key-chain", field="net, node, n or prev")
    if (statement.reason == "recovery") is not (by == "recovery"):
        raise ProtocolError("key-chain", field="reason", expected=by)
    return statement


def _verified_link(text: str, admission: Admission, last: ChainKey, root: TrustedRoot) -> tuple[bytes, KeyReason]:
    if text.startswith("{"):
        general = jws.parse_general(text.encode(), jws.KEY, max_bytes=GENERAL_MAX)
        if not root.vouches_for(general.payload):
            jws.verify_threshold(general, root.guarantors, root.root.threshold)
        return general.payload, "recovery"
    link = jws.parse_compact(text, jws.KEY, max_bytes=STATEMENT_MAX)
    if link.kid == last.kid:
        return jws.verify(link, last.key), "rotation"
    if admission.recovery is UNSET:
        raise ProtocolError("unknown-key", field="kid", expected="the previous key")
    return jws.verify(link, _signing_key(root.suite, admission.recovery)), "recovery"


def read_routes(text: str, current: VerifyKey, *, net: str, node: str, suite: Suite) -> Routes:
    """Routes of `node`, signed by its current key. Raises wrong-network, bad-shape, bad-key and what jws raises."""
    unverified = jws.parse_compact(text, jws.RTS, max_bytes=STATEMENT_MAX)
    statement = decode(jws.verify(unverified, current), RoutesStatement, max_bytes=STATEMENT_MAX)
    if statement.net != net:
        raise ProtocolError("wrong-network", field="net")
    if statement.node != node:
        raise ProtocolError("bad-shape", field="node", expected=node)
    keys = tuple(
        (key.since, key.until or None, suite.sealing_public(b64u_decode(key.x, field="sealing")))
        for key in statement.sealing
    )
    return Routes(statement, text, keys)


def _signing_key(suite: Suite, x: str) -> VerifyKey:
    return suite.verify_key(b64u_decode(x, field="x"))
