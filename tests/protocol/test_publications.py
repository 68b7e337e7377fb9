"""Catalogue publications, named after what an attacker or a careless desk would try."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import contents, jws, publications
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.strict import b64u_encode
from schemas.records import Desk, Organization, Service
from tests.protocol.network import T0, Network, seed, signer

SALT = b64u_encode(seed("salt"))


def uuid(i):
    return f"00000000-0000-4000-8000-{i:012x}"


def service(i, **changes):
    fields = {
        "id": uuid(i),
        "name": f"Sportello {i}",
        "status": "active",
        "organization": Organization(id=uuid(9000), name="Distretto", description="Ente"),
    }
    return Service(**(fields | changes))


def line(i, **changes):
    return publications.record_line(service(i, **changes))


def raw_line(i, **members):
    return json.dumps(json.loads(line(i)) | members, ensure_ascii=False)


def post(lines, *, key=None, node="distretto", vis="public", rev=1, prev="", at=T0, exp=T0 + 90 * DAY, net=None):
    return publications.make_publication(
        lines, key or signer("distretto"), net=net or NET.net, node=node, vis=vis, rev=rev, prev=prev, at=at, exp=exp
    )


def network():
    net = Network()
    net.add("distretto")
    net.add("comune-uno")
    return net


NET = network()
MEMBERSHIP = NET.step()


def refused(call, code):
    with pytest.raises(ProtocolError) as error:
        call()
    assert error.value.code == code, error.value
    return error.value


def intake(sent, held=None, membership=MEMBERSHIP, now=T0):
    return publications.check_publication(sent.publication, sent.manifest, membership, held, now)


def records(sent, known=None, owner=None):
    signed = publications.read_publication(sent.publication, MEMBERSHIP, NET.net)
    return publications.check_records(
        signed.publication, sent.manifest, sent.records, (known or {}).get, (owner or {}).get
    )


# -- the chain of revisions


def test_a_published_catalogue_is_taken_in_record_by_record():
    lines = [line(3), line(1), line(2)]
    sent = post(lines)
    assert intake(sent).publication.count == 3
    taken = records(sent)
    assert [record.id for record in taken] == [uuid(1), uuid(2), uuid(3)]
    assert {record.line for record in taken} == set(lines)


def test_a_small_change_sends_only_the_changed_record():
    first = post([line(1), line(2), line(3)])
    held = intake(first).held
    second = post([line(1), line(2, name="Nuovo nome"), line(3)], rev=2, prev=held.digest)
    intake(second, held)
    known = {leaf: json.loads(text)["id"] for leaf, text in first.records.items()}
    lacking = publications.missing(second.manifest, known, {})
    assert len(lacking) == 1
    only = {leaf: second.records[leaf] for leaf in lacking}
    changed = publications.check_records(intake(second, held).publication, second.manifest, only, known.get, {}.get)
    assert [record.service.name for record in changed] == ["Nuovo nome"]


def test_an_empty_catalogue_is_a_publication_too():
    sent = post([])
    assert intake(sent).publication.root == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    assert records(sent) == []


def test_publication_replay_an_old_catalogue_never_replaces_a_newer_one():
    first = post([line(1)])
    one = intake(first).held
    second = post([line(1)], rev=2, prev=one.digest)
    two = intake(second, one).held
    for replay in (first, second):
        refused(lambda replay=replay: intake(replay, two), "catalogue-too-old")


@pytest.mark.parametrize(("rev", "prev"), [(3, None), (2, "A" * 43), (2, "")])
def test_a_gap_or_another_past_is_refused(rev, prev):
    held = intake(post([line(1)])).held
    sent = post([line(1)], rev=rev, prev=held.digest if prev is None else prev)
    refused(lambda: intake(sent, held), "catalogue-too-old")


# -- signature and member


def test_nobody_publishes_for_another_member():
    refused(lambda: intake(post([line(1)], node="comune-uno")), "unknown-key")
    refused(lambda: intake(post([line(1)], key=signer("online"))), "unknown-key")
    refused(lambda: intake(post([line(1)], net="A" * 43)), "wrong-network")


def test_suspended_and_unknown_members_publish_nothing():
    net = network()
    net.change("distretto", status="suspended")
    refused(lambda: intake(post([line(1)]), membership=net.step()), "suspended")
    net.change("distretto", status="ended")
    refused(lambda: intake(post([line(1)]), membership=net.step()), "not-a-member")


def test_a_superseded_key_reads_but_no_longer_publishes():
    net = network()
    net.change(
        "distretto",
        keys=[net.key_statement("distretto", signer("d2"), signer("distretto"))],
        routes=net.routes("distretto", n=2, key=signer("d2")),
    )
    after, sent = net.step(), post([line(1)])
    assert publications.read_publication(sent.publication, after, net.net).publication.rev == 1
    refused(lambda: intake(sent, membership=after), "unknown-key")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"at": T0 + 301}, "from-the-future"), ({"exp": T0}, "expired"), ({"at": T0 - 10, "exp": T0 - 5}, "expired")],
)
def test_times_that_make_no_sense_are_refused(changes, code):
    refused(lambda: intake(post([line(1)], **changes)), code)


@pytest.mark.feature("F001-34")
def test_an_altered_entry_fails_verification():
    sent = post([line(i) for i in range(9)])
    signed = intake(sent)
    for index, leaf in enumerate(sent.manifest):
        path = publications.inclusion(sent.manifest, index)
        publications.verify_record(signed.publication, sent.records[leaf], index, path)
        altered = sent.records[leaf].replace("Sportello", "Sportella")
        refused(
            lambda altered=altered, index=index, path=path: publications.verify_record(
                signed.publication, altered, index, path
            ),
            "bad-proof",
        )


def test_a_publication_with_one_flipped_bit_is_refused():
    sent = post([line(1)])
    for place in range(0, len(sent.publication), 7):
        other = "A" if sent.publication[place] != "A" else "B"
        with pytest.raises(ProtocolError):
            publications.read_publication(
                sent.publication[:place] + other + sent.publication[place + 1 :], MEMBERSHIP, NET.net
            )


# -- manifest and records


def test_an_altered_manifest_is_refused():
    sent, other = post([line(1), line(2)]), post([line(3)])
    for manifest in (
        sent.manifest[::-1],
        sent.manifest[:1],
        [*sent.manifest, *other.manifest],
        [sent.manifest[0], *other.manifest],
        [],
    ):
        refused(
            lambda manifest=manifest: publications.check_publication(sent.publication, manifest, MEMBERSHIP, None, T0),
            "catalogue-root",
        )


def forged(lines, **changes):
    """A publication that its own checks would not have let out."""
    pairs = [(publications.leaf_hash(text), text) for text in lines]
    fields = {
        "net": NET.net,
        "node": "distretto",
        "vis": "public",
        "rev": 1,
        "prev": "",
        "at": T0,
        "exp": T0 + DAY,
        "count": len(pairs),
    }
    fields["root"] = publications.manifest_root([leaf for leaf, _ in pairs])
    text = jws.sign_compact(signer("distretto"), jws.CAT, json.dumps(fields | changes).encode())
    return publications.CataloguePost(publication=text, manifest=[leaf for leaf, _ in pairs], records=dict(pairs))


def test_records_out_of_order_or_twice_are_refused():
    for lines in ([line(2), line(1)], [line(1), line(1, name="x")]):
        sent = forged(lines)
        intake(sent)
        refused(lambda sent=sent: records(sent), "catalogue-root")


def test_a_record_under_another_name_a_stray_or_a_missing_one_is_refused():
    sent = post([line(1), line(2)])
    first, second = sent.manifest
    for wrong in (
        {first: sent.records[second], second: sent.records[first]},
        {**sent.records, "A" * 43: line(5)},
        {first: sent.records[first]},
    ):
        changed = publications.CataloguePost(publication=sent.publication, manifest=sent.manifest, records=wrong)
        refused(lambda changed=changed: records(changed), "catalogue-root")


def test_an_id_first_logged_by_another_member_is_refused():
    sent = post([line(1), line(2)])
    assert records(sent, owner={uuid(1): "distretto"})
    fault = refused(lambda: records(sent, owner={uuid(2): "comune-uno"}), "catalogue-id-not-yours")
    assert fault.got == uuid(2)
    known = dict(zip(sent.manifest, (uuid(1), uuid(2)), strict=True))
    silent = publications.CataloguePost(publication=sent.publication, manifest=sent.manifest)
    refused(lambda: records(silent, known=known, owner={uuid(2): "comune-uno"}), "catalogue-id-not-yours")


def test_a_catalogue_of_more_than_5000_records_is_refused():
    publication = publications.Publication(
        net=NET.net, node="distretto", vis="public", rev=1, prev="", root="A" * 43, count=5001, at=T0, exp=T0 + 1
    )
    refused(lambda: publications.check_manifest(publication, ["A" * 43] * 5001), "catalogue-too-large")
    refused(lambda: publications.check_manifest(publication, []), "catalogue-too-large")


def test_a_record_of_more_than_64_kib_is_refused():
    refused(lambda: publications.read_record(raw_line(1, note="x" * 65536), "public"), "record-too-large")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{}", "bad-shape"),
        ("[]", "bad-shape"),
        ("", "bad-json"),
        ('{"id":1,"id":2}', "json-duplicate-name"),
        ("[" * 40, "bad-json"),
        ("[" * 40 + "]" * 40, "json-too-deep"),
        (raw_line(1, id=uuid(0xA).upper()), "bad-shape"),
        (raw_line(1, id="urn:1"), "bad-shape"),
        (raw_line(1) + "\n", "bad-shape"),
        (raw_line(1, salt=SALT), "bad-shape"),
        (raw_line(1).replace("Sportello", "\ud800"), "bad-encoding"),
    ],
)
def test_a_record_that_is_no_record_is_refused_with_its_code(text, code):
    refused(lambda: publications.read_record(text, "public"), code)


def test_a_network_record_needs_a_random_salt():
    sent = post([line(1, salt=SALT)], vis="network")
    assert records(sent)[0].service.salt == SALT
    for salt in ("", "AAAA", "not base64!"):
        with pytest.raises(ProtocolError):
            publications.read_record(raw_line(1, salt=salt), "network")
    refused(lambda: publications.read_record(line(1), "network"), "bad-shape")


def test_unknown_fields_travel_as_received():
    text = raw_line(1, nuovo={"campo": 1.50})
    assert publications.read_record(text, "public").line == text
    assert post([text]).records[publications.leaf_hash(text)] == text


# -- what a record may contain


@pytest.mark.parametrize(
    "members",
    [
        {"comune": "041044"},
        {"service_at_locations": [{"id": uuid(7)}]},
        {"desk": {"id": uuid(8), "name": "Casa", "zone": "Centro"}},
        {"posizione": {"latitude": 43.9}},
        {"extra": [{"deep": {"address_1": "x"}}]},
        {"city": "Pesaro"},
        {"description": "Siamo in Via Verdi 3"},
        {"application_process": "citofonare, piazza Garibaldi"},
    ],
)
def test_a_secret_address_never_leaves(members):
    text = raw_line(1, place="secret", **members)
    refused(lambda: publications.read_record(text, "public"), "catalogue-secret-place")
    refused(
        lambda: publications.read_record(raw_line(1, place="secret", salt=SALT, **members), "network"),
        "catalogue-secret-place",
    )
    refused(lambda: post([text]), "catalogue-secret-place")


def test_a_secret_place_without_an_address_is_published():
    sent = post(
        [
            line(
                1,
                place="secret",
                territory=["041044"],
                desk=Desk(id=uuid(5), name="Centro antiviolenza"),
                description="Telefonare via telefono o via e-mail",
            )
        ]
    )
    assert len(records(sent)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>", "a <b>", "</p>", "<!-- -->", "&lt;b&gt;", "&#60;", "[qui](http://x)", "javascript:alert(1)", "data:text/html,x",
        "zero\u200bwidth", "bidi\u202eover", "\ufeffbom", "bell\x07", "tab\t", "\x85", "tag\U000e0041", "\u2066iso", "soft\u00adhyphen", "\ue000",
    ],
)  # fmt: skip
def test_text_that_is_not_plain_is_refused(text):
    refused(lambda: publications.read_record(raw_line(1, description=text), "public"), "catalogue-not-plain")
    refused(lambda: publications.read_record(raw_line(1, **{text: 1}), "public"), "catalogue-not-plain")


@pytest.mark.parametrize(
    "text",
    [
        "ISEE < 6.000 €",
        "figli & nipoti; nonni",
        "Data: lunedì, ore 9",
        "[facoltativo] (residenti)",
        "prima riga\nseconda",
        "«sì», perché però – ½ ☎",
        "AT&T",
    ],
)
def test_ordinary_italian_text_is_plain(text):
    assert publications.read_record(raw_line(1, description=text), "public")


# Invented: no person has these.
@pytest.mark.parametrize(
    "text",
    [
        "RSSMRA80A01H501U",
        "chiedere di rssmra80a01h501u.",
        "c.f. RSSMRAULA0MH5LMU",
        "IBAN IT60X0542811101000000123456",
        "IT60 X054 2811 1010 0000 0123 456",
    ],
)
def test_what_looks_like_personal_data_is_refused(text):
    fault = refused(
        lambda: publications.read_record(raw_line(1, description=text), "public"), "catalogue-personal-data"
    )
    assert fault.field == "$.description"
    assert text not in str(fault)


@pytest.mark.parametrize(
    "text",
    [
        "C.F. ente 00123456789",
        "tel. 0721 123456",
        "IT00X0542811101000000123456",
        "L.R. 32/2014 art. 5",
        "DGR 1234ABCD5678EFGH",
    ],
)
def test_numbers_of_bodies_laws_and_telephones_are_no_personal_data(text):
    assert publications.read_record(raw_line(1, description=text), "public")


def test_the_doctor_sees_every_fault_at_once_with_its_place():
    found = contents.faults(
        json.loads(raw_line(1, place="secret", city="x", description="<b>", phones=[{"note": "RSSMRA80A01H501U"}]))
    )
    assert sorted((fault.code, fault.field) for fault in found) == [
        ("catalogue-not-plain", "$.description"),
        ("catalogue-personal-data", "$.phones[0].note"),
        ("catalogue-secret-place", "$.city"),
    ]


plain = st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="<&[]"), max_size=60)


@given(st.lists(plain, max_size=8))
def test_lines_are_canonical_and_read_back_the_same(names):
    lines = [line(i, name=name) for i, name in enumerate(names)]
    for text in lines:
        assert publications.record_line(publications.read_record(text, "public").service) == text
    manifest = post(lines).manifest
    assert all(a != b for a, b in pairwise(manifest))
