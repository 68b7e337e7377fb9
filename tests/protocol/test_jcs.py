"""What our writers emit is RFC 8785, by vectors nobody here wrote and by properties."""

import json
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import jcs
from protocol.errors import ProtocolError

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "jcs-rfc8785" / "testdata"
needs_shared = pytest.mark.skipif(not VECTORS.exists(), reason="../shared is absent")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-jcs.SAFE_INTEGER, jcs.SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@needs_shared
@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_the_vectors_of_rfc_8785_come_out_byte_for_byte(name):
    value = json.loads((VECTORS / "input" / f"{name}.json").read_bytes())
    expected = (VECTORS / "output" / f"{name}.json").read_bytes()
    assert jcs.write(value) == expected
    assert jcs.write(value) == bytes.fromhex((VECTORS / "outhex" / f"{name}.txt").read_text())


# The first 141 of the published number sequence are listed; the rest is a SHA-256 chain. README of the vectors gives
# the digest of the first 1,000 lines "hex,number\n"; the listed ones are read from that README, not copied here.
@needs_shared
def test_ten_thousand_published_numbers_hash_to_the_published_value():
    text = (VECTORS / "README.md").read_text()
    listed = text.split("new BigUint64Array([")[1].split("])")[0]
    bits = [int(word.strip().rstrip("n"), 16) for word in listed.split(",") if word.strip()]
    bits += [0x0010000000000000 + i for i in range(2000)]
    block = bytes(32)
    while len(bits) < 10_000:
        block = sha256(block).digest()
        for word in struct.unpack("<4Q", block):
            value = struct.unpack("<d", struct.pack("<Q", word))[0]
            if value and value - value == 0:
                bits.append(word)
    lines = "".join(f"{b:x},{jcs.number(struct.unpack('<d', struct.pack('<Q', b))[0])}\n" for b in bits[:10_000])
    assert sha256(lines.encode()).hexdigest() == "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892"


@given(json_values)
def test_what_is_written_reads_back_equal_and_writes_the_same_again(value):
    raw = jcs.write(value)
    read = json.loads(raw, parse_int=float)  # ECMAScript's only number
    assert read == value
    assert jcs.write(read) == raw


def test_names_sort_by_utf_16_units_not_by_code_points():
    assert jcs.write({"\ue000": 1, "\U00010000": 2}) == '{"\U00010000":2,"\ue000":1}'.encode()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "json-number"),
        (float("-inf"), "json-number"),
        (2**53, "json-number"),
        ("\ud800", "bad-encoding"),
        ({"\udfff": 1}, "bad-encoding"),
        ({1: 2}, "bad-shape"),
        (b"bytes", "bad-shape"),
        (object(), "bad-shape"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value, code):
    with pytest.raises(ProtocolError) as refused:
        jcs.write(value)
    assert refused.value.code == code
