"""The quick reading of what equals its own writing refuses and accepts exactly what the strict reading does."""

import random

import msgspec
import pytest

from protocol.errors import ProtocolError
from protocol.strict import decode, decode_written
from schemas.wire import Batch, Item, Routing

ROUTING = msgspec.json.encode(
    Routing(
        v=1, net="n" * 43, jti="j", sender="a", to="b", iat=1795259400, exp=1797851400, ch="1.7", mv=12, ct="c", cm="d"
    )
)
BATCH = msgspec.json.encode(Batch([Item(e="a.b.c", s="d..e.f.g"), Item(r='è\n"')]))
PIECES = (
    b'"v":1,', b'"mv":9007199254740992,', b'"mv":9007199254740991,', b'"mv":99999999999999999999,', b"\xef\xbb\xbf",
    b'"x":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]],', b'"jti":"\\ud800",', b'"jti":"\\u00e8",', b" ", b'"v":1e0,', b'"v":1.0,',
    b'"to":"b",', b"\xff", b"{", b"}", b'"v":-0,', b"NaN", b'{"e":"x","s":"y"},', b'{"r":"x","r":"y"},',
)  # fmt: skip


def outcome(read, raw, shape, **options):
    try:
        return read(raw, shape, max_bytes=4000, **options)
    except ProtocolError as error:
        return error.code, error.field


@pytest.mark.parametrize(("whole", "shape", "options"), [(ROUTING, Routing, {}), (BATCH, Batch, {"numbers": False})])
def test_both_readings_say_the_same_of_twenty_thousand_mutations(whole, shape, options):
    dice = random.Random(5)
    refused = 0
    for _ in range(20_000):
        raw = bytearray(whole)
        for _ in range(dice.randrange(3)):
            at = dice.randrange(len(raw))
            if dice.random() < 0.5:
                raw[at:at] = dice.choice(PIECES)
            else:
                raw[at] = dice.randrange(256)
        strict = outcome(decode, bytes(raw), shape)
        assert outcome(decode_written, bytes(raw), shape, **options) == strict
        refused += isinstance(strict, tuple)
    assert refused > 5_000


@pytest.mark.parametrize("number", [2**53 - 1, 2**53, 10**16, 10**30, -(2**53)])
def test_a_number_is_judged_alike_wherever_it_stands(number):
    raw = ROUTING.replace(b"1797851400", str(number).encode())
    assert outcome(decode_written, raw, Routing) == outcome(decode, raw, Routing)
