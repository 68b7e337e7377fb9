"""Proofs of map entries: honest ones of random logs hold, everything else is refused with its own code."""

import json
import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from protocol import notes
from protocol.errors import ProtocolError
from protocol.proofs import make_proof, verify_proof
from protocol.publications import leaf_hash
from protocol.suite import S1
from schemas.catalogue import MapProof
from tests.protocol.ledger import Ledger, uid
from tests.protocol.network import T0, signer

A, B, C = "comune-tavullia", "distretto", "ts-dispensa"


def busy():
    """A young network in which everything has happened that a proof has to lead through."""
    log = Ledger(A, B, C)
    log.publish(B, "Punto unico")
    log.rotate(A)
    log.publish(A, "Sportello", "Mensa", "Trasporto")
    log.publish(A, "Linea urgente", vis="network")
    log.day()
    log.publish(C, "Emporio")
    log.new_root()
    log.publish(B, "Punto unico", "Assistenza")
    log.day()
    return log


@pytest.fixture(scope="module")
def log():
    return busy()


def check(raw, log, **more):
    return verify_proof(raw, net=log.net, suite=S1, **more)


def refusal(raw, log, **more):
    with pytest.raises(ProtocolError) as refused:
        check(raw, log, **more)
    return refused.value.code


def changed(raw, **changes):
    proof = json.loads(raw)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = proof
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        place[last] = value
    return json.dumps(proof).encode()


# -- what holds


@pytest.mark.feature("F001-34")
def test_an_honest_entry_is_proved_and_says_who_signed_it_and_when(log):
    proved = check(log.proof(A, "Mensa"), log, node=A, id_=uid(A, "Mensa"))
    assert (proved.member.node, proved.service.name) == (A, "Mensa")
    assert (proved.key.n, proved.key.how) == (2, "rotation")
    assert proved.publication.at == T0
    assert proved.admitted_by == ("g1",)
    assert proved.root.root.n == 2
    assert proved.fresh(log.now) and not proved.fresh(log.now + 10**6)


@pytest.mark.parametrize("vis", ["public", "network"])
def test_lines_of_both_chains_are_proved(log, vis):
    name = {"public": "Sportello", "network": "Linea urgente"}[vis]
    assert check(log.proof(A, name, vis), log).publication.vis == vis


def test_what_a_key_signed_before_it_was_compromised_is_still_proved():
    log = Ledger(A, B)
    log.publish(A, "Mensa")
    log.rotate(A, "compromise")
    proved = check(log.proof(A, "Mensa"), log)
    assert (proved.key.n, proved.key.revoked) == (1, True)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@seed(20261122)
@given(st.lists(st.sampled_from("pqPQrRdwcnoW"), max_size=14), st.integers(0, 2**32))
def test_every_entry_of_a_random_log_is_proved(steps, number):
    dice = random.Random(number)
    log = Ledger(A, B)
    known = {}
    for i, step in enumerate(["p", *steps]):
        node = A if step.islower() else B
        if step in "pPqQwW":
            vis = "network" if step in "wW" else "public"
            names = [f"Voce {dice.randrange(9)}", f"Voce {i} bis"][: 1 + dice.randrange(2)]
            log.publish(node, *dict.fromkeys(names), vis=vis)
            known[node, vis] = list(dict.fromkeys(names))
        elif step in "rR":
            log.rotate(node)
        elif step == "c":
            log.rotate(node, "compromise")
        elif step == "n":
            log.new_root()
        else:
            log.day()
    for (node, vis), names in known.items():
        for name in names:
            proved = check(log.proof(node, name, vis), log, node=node, id_=uid(node, name))
            assert proved.service.name == name


# -- what does not


def test_another_network_is_refused(log):
    other = Ledger(A)
    with pytest.raises(ProtocolError) as refused:
        verify_proof(log.proof(A, "Mensa"), net="A" * 43, suite=S1)
    assert refused.value.code == "wrong-network"
    assert other.net == log.net  # same seeds: the id is the hash of root-1, nothing else
    forged = changed(log.proof(A, "Mensa"), net="A" * 43)
    with pytest.raises(ProtocolError) as refused:
        verify_proof(forged, net="A" * 43, suite=S1)
    assert refused.value.code == "wrong-network"


def test_the_proof_of_another_entry_is_refused(log):
    raw = log.proof(A, "Mensa")
    assert refusal(raw, log, id_=uid(A, "Sportello")) == "wrong-entry"
    assert refusal(raw, log, node=B) == "wrong-entry"
    assert refusal(changed(raw, id=uid(A, "Sportello")), log, id_=uid(A, "Sportello")) == "wrong-entry"
    assert refusal(changed(raw, node=B), log, node=B) == "wrong-entry"


def test_an_altered_record_is_refused(log):
    proof = json.loads(log.proof(A, "Mensa"))
    assert (
        refusal(changed(json.dumps(proof), record=proof["record"].replace("Mensa", "Menza")), log) == "record-altered"
    )
    assert refusal(changed(json.dumps(proof), index=proof["index"] ^ 1), log) == "record-altered"
    assert refusal(changed(json.dumps(proof), path=proof["path"][:-1]), log) == "record-altered"


def test_a_publication_under_another_key_is_refused(log):
    mine = Ledger(A, B, C)
    mine.keys[C] = [signer("somebody else")]
    mine.publish(C, "Emporio")
    assert refusal(mine.proof(C, "Emporio"), mine) == "unknown-key"
    forged = Ledger(A, B, C)
    forged.publish(C, "Emporio")
    raw = json.loads(forged.proof(C, "Emporio"))
    head, payload, signature = raw["publication"].split(".")
    raw["publication"] = ".".join(
        (head, payload, signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:])
    )
    assert refusal(json.dumps(raw).encode(), forged) == "proof-incomplete"  # the log names other bytes


def test_a_signature_that_does_not_hold_is_refused_also_when_it_is_logged():
    log = Ledger(A)
    log.publish(A, "Mensa")
    post, rev, _ = log.posts[A, "public"]
    head, payload, _ = post.publication.split(".")
    broken = ".".join((head, payload, "A" * 86))
    log.entries.pop()
    log.log("public", broken.encode(), A, rev)
    log.posts[A, "public"] = (msgspec.structs.replace(post, publication=broken), rev, "")
    assert refusal(log.proof(A, "Mensa"), log) == "bad-signature"


@pytest.mark.parametrize(("reason", "code"), [("rotation", "unknown-key"), ("compromise", "revoked-key")])
def test_what_an_old_key_signed_after_its_time_is_refused(reason, code):
    log = Ledger(A)
    log.rotate(A, reason)
    log.keys[A].reverse()  # the old key again
    log.publish(A, "Mensa")
    assert refusal(log.proof(A, "Mensa"), log) == code


def test_another_checkpoint_is_refused(log):
    raw = log.proof(A, "Mensa")
    other = Ledger(A, B, C)
    other.publish(C, "Altro")
    assert refusal(changed(raw, log__note=other.note), log) == "not-in-log"
    head = notes.parse_checkpoint(notes.parse_note(log.note.encode()).text)
    stranger = notes.sign_head(head, signer("stranger")).decode()
    assert refusal(changed(raw, log__note=stranger), log) == "bad-checkpoint"
    empty = notes.sign_head(notes.Checkpoint(head.origin, 0, head.root), signer("log")).decode()
    assert refusal(changed(raw, log__note=empty), log) == "not-in-log"


def test_a_removed_entry_is_refused_whether_its_line_went_or_was_withdrawn():
    log = Ledger(A, B)
    log.publish(A, "Mensa", "Sportello")
    old = log.subject(A, "Mensa")
    log.publish(A, "Sportello")
    log.day()
    assert refusal(make_proof(old._replace(members=log.held.raw), log, log.root), log) == "entry-removed"
    log.withdraw(A, leaf_hash(log.subject(A, "Sportello").record))
    log.day()
    assert refusal(log.proof(A, "Sportello"), log) == "entry-removed"


def test_a_withdrawn_publication_proves_nothing():
    log = Ledger(A)
    log.publish(A, "Mensa")
    log.withdraw(A, log.posts[A, "public"][2])
    assert refusal(log.proof(A, "Mensa"), log) == "entry-removed"


@pytest.mark.parametrize(("status", "code"), [("suspended", "suspended"), ("ended", "not-a-member")])
def test_an_entry_of_who_is_no_active_member_is_refused(status, code):
    log = Ledger(A, B)
    log.publish(A, "Mensa")
    before = log.held.raw
    log.status(A, status)
    assert refusal(log.proof(A, "Mensa"), log) == code
    with pytest.raises(ProtocolError) as refused:  # the document of before the suspension does not help
        check(log.proof(A, "Mensa", members=before), log)
    assert refused.value.code == "members-rollback"


def test_a_member_that_no_guarantor_admitted_is_refused():
    log = Ledger(A)
    log.keys[B] = [signer(B)]
    log.network.add(B, admission=log.network.admission(B, by=["nobody"]))
    log.log("admission", log.network.entries[B].admission.encode(), B, 1)
    log.held = None
    raw = log.network.publish(version=2, prev="A" * 43)
    log.held = log.network.read(raw)
    log.log("members", raw, "", 2)
    log.publish(B, "Mensa")
    assert refusal(log.proof(B, "Mensa"), log) == "admission-invalid"


def test_truncated_chains_are_refused(log):
    raw = log.proof(A, "Mensa")
    proof = json.loads(raw)
    assert refusal(changed(raw, roots=proof["roots"][:-1]), log) == "root-chain"
    assert refusal(changed(raw, log__lines=proof["log"]["lines"][:-1]), log) == "not-in-log"
    assert refusal(changed(raw, log__lines=proof["log"]["lines"][1:]), log) == "not-in-log"
    assert refusal(changed(raw, log__edge=proof["log"]["edge"][:-1]), log) == "bad-proof"
    for i, leaf in enumerate(proof["log"]["earlier"]):
        fewer = [one for one in proof["log"]["earlier"] if one is not leaf]
        assert refusal(changed(raw, log__earlier=fewer), log) == "proof-incomplete", i


def test_a_key_statement_left_out_of_the_members_document_is_seen_in_the_log():
    log = Ledger(A)
    log.publish(A, "Mensa")
    entry = log.network.entries[A]
    log.rotate(A)
    log.network.entries[A] = entry  # a registry that hides the rotation
    raw = log.network.publish(version=3, prev="A" * 43)
    log.held = log.network.read(raw)
    log.log("members", raw, "", 3)
    assert refusal(log.proof(A, "Mensa"), log) == "key-chain"


def test_a_leaf_nobody_needs_is_refused(log):
    proof = json.loads(log.proof(A, "Mensa"))
    extra = json.loads(log.proof(B, "Assistenza"))["log"]["earlier"]
    strange = [leaf for leaf in extra if leaf not in proof["log"]["earlier"]]
    assert strange
    both = sorted([*proof["log"]["earlier"], *strange], key=lambda leaf: leaf["seq"])
    assert refusal(changed(json.dumps(proof), log__earlier=both), log) in {"bad-proof", "not-in-log"}


# -- anything else


def leaves_of(value, way=()):
    """Every place of a JSON value, the whole apart."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in items:
        yield (*way, name)
        yield from leaves_of(part, (*way, name))


def without(value, way):
    value = json.loads(json.dumps(value))
    place = value
    for step in way[:-1]:
        place = place[step]
    del place[way[-1]]
    return json.dumps(value).encode()


def test_whatever_is_dropped_from_a_proof_is_missed(log):
    for node, name, vis in ((A, "Mensa", "public"), (A, "Linea urgente", "network"), (B, "Assistenza", "public")):
        proof = json.loads(log.proof(node, name, vis))
        ways = list(leaves_of(proof))
        assert len(ways) > 30
        for way in ways:
            assert refusal(without(proof, way), log), way


def test_parts_of_two_valid_proofs_do_not_fit_each_other(log):
    proofs = [
        json.loads(log.proof(A, "Mensa")),
        json.loads(log.proof(A, "Sportello")),
        json.loads(log.proof(B, "Assistenza")),
    ]
    proofs.append(json.loads(log.proof(A, "Linea urgente", "network")))
    ways = {way for proof in proofs for way in leaves_of(proof)}
    swapped = 0
    for way in sorted(ways, key=str):
        for one in proofs:
            for other in proofs:
                try:
                    mine, theirs = at(one, way), at(other, way)
                except (KeyError, IndexError, TypeError):
                    continue
                if mine == theirs:
                    continue
                mixed = json.loads(json.dumps(one))
                at(mixed, way[:-1])[way[-1]] = theirs
                raw = json.dumps(mixed).encode()
                assert refusal(raw, log, node=one["node"], id_=one["id"]), way
                swapped += 1
    assert swapped > 100


def at(value, way):
    for step in way:
        value = value[step]
    return value


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@seed(20261122)
@given(st.data())
def test_any_byte_changed_is_refused(log, data):
    raw = bytearray(PROOFS.setdefault(id(log), log.proof(A, "Mensa")))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert refusal(bytes(raw), log)


PROOFS: dict[int, bytes] = {}
NAMES = st.sampled_from(MapProof.__struct_fields__)
ANY_JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@seed(20261122)
@given(st.binary(max_size=200) | ANY_JSON)
def test_anything_at_all_is_refused_and_nothing_breaks(log, raw):
    assert refusal(raw, log)
