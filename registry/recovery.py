"""The guarantor's side of a recovery: a body that lost its keys asks for a new one. No store, no network.

Everything needed is in the file; the roots in it are believed only when they begin at the network id printed in the
protocollo d'intesa. Whoever signs has heard the eight words of the new key from that body, over the telephone.
"""

from typing import NamedTuple

import msgspec

from protocol import jws
from protocol.errors import ProtocolError
from protocol.limits import MIB
from protocol.roots import TrustedRoot
from protocol.statements import GENERAL_MAX, STATEMENT_MAX
from protocol.strict import decode
from protocol.suite import Suite
from registry.ceremony import GuarantorKey
from schemas.membership import KeyStatement, RecoveryFile

FILE_MAX = 8 * MIB


class Asked(NamedTuple):
    """A request as the guarantor sees it, checked."""

    root: TrustedRoot
    file: RecoveryFile
    statement: KeyStatement


def read_request(raw: bytes, suite: Suite, *, net: str | None = None) -> Asked:
    """Raises wrong-network, root-chain, threshold, key-chain (no recovery, or not of that body)."""
    file = decode(raw, RecoveryFile, max_bytes=FILE_MAX)
    if net is not None and file.net != net:
        raise ProtocolError("wrong-network", field="net", expected=net, got=file.net)
    first, *newer = file.roots
    root = TrustedRoot.start(first.encode(), file.net, suite).walk(text.encode() for text in newer)
    statement = decode(file.draft.encode(), KeyStatement, max_bytes=STATEMENT_MAX)
    if (statement.net, statement.node, statement.reason) != (file.net, file.node, "recovery"):
        raise ProtocolError("key-chain", field="draft", expected="a recovery of that body")
    return Asked(root, file, statement)


def sign(asked: Asked, key: GuarantorKey) -> RecoveryFile:
    """One signature more; those there stay. Raises not-a-guarantor, bad-shape (signatures over something else)."""
    if key.key.kid not in asked.root.guarantors:
        raise ProtocolError("not-a-guarantor", field=key.name)
    payload = asked.file.draft.encode()
    parts = [jws.sign_general([key.key], jws.KEY, payload)]
    if asked.file.signed:
        parts.append(asked.file.signed.encode())
    merged = jws.merge_general(parts, jws.KEY, max_bytes=GENERAL_MAX).decode("ascii")
    return msgspec.structs.replace(asked.file, signed=merged)


def count(asked: Asked) -> int:
    """How many guarantors have signed already, as far as their signatures hold."""
    if not asked.file.signed:
        return 0
    general = jws.parse_general(asked.file.signed.encode(), jws.KEY, max_bytes=GENERAL_MAX)
    signers = 0
    for guarantor in asked.root.guarantors.values():
        try:
            jws.verify_threshold(general, {guarantor.kid: guarantor}, 1)
            signers += 1
        except ProtocolError:
            continue
    return signers
