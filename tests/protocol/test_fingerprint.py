"""The words read over the telephone: the list, and what they tell."""

from hashlib import sha256
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import protocol.fingerprint as module
from protocol.fingerprint import fingerprint, matches
from protocol.fingerprint_words import WORDS

keys = st.binary(min_size=32, max_size=32)


def test_the_list_has_1024_plain_words_told_apart_by_their_first_four_letters():
    assert len(WORDS) == 1024
    assert list(WORDS) == sorted(WORDS)
    assert all(4 <= len(word) <= 9 and word.isascii() and word.isalpha() and word.islower() for word in WORDS)
    assert len({word[:4] for word in WORDS}) == 1024


def test_no_two_words_of_a_length_differ_by_one_letter():
    by_length = {}
    for word in WORDS:
        by_length.setdefault(len(word), []).append(word)
    for words in by_length.values():
        assert all(sum(a != b for a, b in zip(x, y, strict=True)) > 1 for x, y in combinations(words, 2))


def test_the_list_never_changes():
    assert (
        sha256(" ".join(WORDS).encode()).hexdigest()
        == "d75d57c05c4dcade46c296baaaed3e301c77b223c30161e2a3be965b843e723e"
    )


def test_the_example_of_the_module_is_true():
    assert " ".join(fingerprint(bytes(range(32)))) in module.__doc__


@given(keys)
def test_a_key_has_eight_words_that_people_can_type_back(public):
    words = fingerprint(public)
    assert len(words) == 8
    assert matches(public, " ".join(words))
    assert matches(public, ", ".join(word[:4].upper() for word in words))


@given(keys, st.integers(0, 255))
def test_another_key_has_other_words(public, bit):
    other = bytearray(public)
    other[bit // 8] ^= 1 << bit % 8
    assert fingerprint(bytes(other)) != fingerprint(public)


@pytest.mark.parametrize(
    "damage",
    [
        lambda w: w[:7],
        lambda w: [*w, w[0]],
        lambda w: [w[1], w[0], *w[2:]],
        lambda w: ["xx", *w[1:]],
        lambda w: [w[0][:3], *w[1:]],
        lambda _: [],
    ],
)
def test_missing_swapped_or_half_words_do_not_match(damage):
    public = bytes(range(32))
    assert not matches(public, " ".join(damage(list(fingerprint(public)))))
