"""Receipts: what a recipient signs about messages it holds. Not when one is due, nor where it is kept.

A receipt is a compact JWS, `typ: raccordo-rcpt+jws`, whose payload looks like this:
{"net":"wVf…","from":"distretto","to":"comune-tavullia","at":1795259402,"hw":"1.7",
 "acks":[{"mid":"9fX…","k":"processed","st":1795259402,"h":0}]}
"""

from typing import Final

import msgspec
from msgspec import UNSET, Struct

from protocol.envelope import REJECTABLE
from protocol.errors import ProtocolError
from protocol.jws import RCPT, Keyring, parse_compact, sign_compact, verify_member
from protocol.limits import BATCH_ITEMS, CLOCK_AHEAD_MAX, RECEIPT_MAX
from protocol.names import Channel, check_node_id, is_hash, parse_high_water
from protocol.strict import decode
from protocol.suite import SigningKey
from schemas.wire import Ack, Receipt

STORED: Final = "stored"
PROCESSED: Final = "processed"
REJECTED: Final = "rejected"
RANK: Final = {STORED: 0, PROCESSED: 1, REJECTED: 1}
"""`processed` and `rejected` are more advanced than `stored`, and are for ever."""

_encode: Final = msgspec.json.Encoder().encode


class VerifiedReceipt(Struct, frozen=True):
    """The member `receipt.sender` signed this. `high_water` is `hw` as two integers."""

    receipt: Receipt
    high_water: Channel
    kid: str


def sign_receipt(key: SigningKey, receipt: Receipt) -> str:
    """The compact JWS. Raises bad-receipt for one that no reader would take."""
    _check(receipt)
    return sign_compact(key, RCPT, _encode(receipt))


def read_receipt(text: str, keyring: Keyring, *, net: str, me: str | None, now: int) -> VerifiedReceipt:
    """A receipt for the messages of `me` (None at a relay, which files receipts for others).

    Raises what `parse_compact` and `verify_member` raise, then wrong-network, wrong-recipient, bad-receipt,
    from-the-future.
    """
    jws = parse_compact(text, RCPT, max_bytes=RECEIPT_MAX)
    receipt = decode(jws.payload, Receipt, max_bytes=RECEIPT_MAX)
    check_node_id(receipt.sender, field="from")
    check_node_id(receipt.to, field="to")
    verify_member(jws, receipt.sender, keyring)
    if receipt.net != net:
        raise ProtocolError("wrong-network", field="net")
    if me is not None and receipt.to != me:
        raise ProtocolError("wrong-recipient", field="to")
    high_water = _check(receipt)
    if receipt.at > now + CLOCK_AHEAD_MAX:
        raise ProtocolError("from-the-future", field="at", expected=f"at most {now + CLOCK_AHEAD_MAX}")
    return VerifiedReceipt(receipt, high_water, jws.kid)


def _check(receipt: Receipt) -> Channel:
    if receipt.sender == receipt.to:
        raise _bad("to", "another member than from")
    if receipt.at < 0:
        raise _bad("at", "Unix seconds")
    if not 1 <= len(receipt.acks) <= BATCH_ITEMS:
        raise _bad("acks", f"1 to {BATCH_ITEMS}")
    if len({ack.mid for ack in receipt.acks}) != len(receipt.acks):
        raise _bad("acks", "each mid once")
    for ack in receipt.acks:
        _check_ack(ack)
    try:
        return parse_high_water(receipt.hw)
    except ProtocolError as error:
        raise _bad("hw", error.expected) from None


def _check_ack(ack: Ack) -> None:
    if not is_hash(ack.mid):
        raise _bad("mid", "base64url of 32 bytes")
    if ack.k not in RANK:
        raise _bad("k", ", ".join(RANK))
    if ack.st < 0:
        raise _bad("st", "Unix seconds")
    if ack.h is not UNSET and (ack.k != PROCESSED or ack.h < 0):
        raise _bad("h", "a count, of what was processed")
    if (ack.k == REJECTED) != (ack.prob is not UNSET):
        raise _bad("prob", "a code, of what was rejected")
    if ack.prob is not UNSET and ack.prob not in REJECTABLE:
        raise _bad("prob", "a code of the closed list")


def _bad(field: str, expected: str | None) -> ProtocolError:
    return ProtocolError("bad-receipt", field=field, expected=expected)
