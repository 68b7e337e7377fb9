"""The members document, named after the attacks its rules stop."""

import msgspec
import pytest

from protocol import admissions, jws, members, statements
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.roots import TrustedRoot
from protocol.suite import S1
from schemas import membership as m
from tests.protocol.network import PROTOCOL, T0, Network, net_of, root_of, sealer, signed_root, signer, x


def network(*nodes):
    made = Network()
    for node in nodes or ("comune-uno", "distretto"):
        made.add(node)
    return made


def refused(call, code):
    with pytest.raises(ProtocolError) as error:
        call()
    assert error.value.code == code, error.value
    return error.value


def rotated(net, node, *, n=2, reason="rotation", **changes):
    """Entry changes after a rotation to the key `node`-2, routes stated again under it."""
    new = signer(f"{node}-2")
    return {
        "keys": [net.key_statement(node, new, signer(node), n=n, reason=reason)],
        "routes": net.routes(node, n=2, key=new),
        **changes,
    }


# -- what it offers


def test_a_verified_membership_says_who_is_who():
    net = Network()
    net.add(
        "distretto",
        admission=net.admission(
            "distretto", ptype="PT-DISTRETTO", caps=["take-in-charge", "pua"], hosted_by="comune-uno"
        ),
    )
    seen = net.step()
    member = seen.active("distretto")
    assert (member.name, member.ptype, member.caps, member.territory) == (
        "Distretto",
        "PT-DISTRETTO",
        {"take-in-charge", "pua"},
        ("041065",),
    )
    assert member.hosted_by == "comune-uno"
    assert seen.signing_key("distretto", signer("distretto").kid).status == "current"
    assert seen.signing_key("comune-uno", signer("distretto").kid) is None
    assert seen.sealing_for("distretto", T0).raw == sealer("distretto").public
    assert seen.sealing_for("nobody", T0) is None
    assert member.relays(T0) == ("bacheca",)
    assert seen.relays == {"bacheca": "https://bacheca.example"}
    assert not seen.void
    assert not seen.unroutable


def test_a_keyring_of_jws_is_what_a_membership_is():
    net = network()
    keyring: jws.Keyring = net.step()
    signed = jws.sign_compact(signer("distretto"), jws.MSG, b"{}")
    unverified = jws.parse_compact(signed, jws.MSG, max_bytes=4096)
    assert jws.verify_member(unverified, "distretto", keyring).status == "current"
    refused(lambda: jws.verify_member(unverified, "comune-uno", keyring), "unknown-key")


# -- the document itself


def test_rollback_an_older_version_is_refused():
    net = network()
    first = net.publish()
    held = net.step(net.read(first), now=T0 + DAY)
    assert held.version == 2
    refused(lambda: net.read(first, held, T0 + DAY), "members-rollback")


def test_a_client_may_skip_versions():
    net = network()
    one = net.step()
    two = net.step(one)
    three = net.publish(two)
    assert net.read(three, one).version == 3


def test_mix_and_match_two_documents_of_one_version_are_an_alarm():
    net = network()
    one = net.step()
    left, right = net.step(one), net.publish(one, forms=[m.Form("RK-INFO", "2", "A" * 43)])
    refused(lambda: net.read(right, left), "members-fork")


def test_a_document_that_does_not_follow_the_held_one_is_refused():
    net = network()
    one = net.step()
    stranger = net.publish(one, prev="A" * 43)
    refused(lambda: net.read(stranger, one), "members-fork")
    refused(lambda: net.read(net.publish(version=2)), "bad-shape")


def test_freeze_an_expired_document_is_refused_as_news_and_ages_as_a_copy():
    net = network()
    raw = net.publish()
    exp = T0 + 7 * DAY
    refused(lambda: net.read(raw, now=exp + 1), "members-expired")
    copy = net.read(raw, now=exp + 90 * DAY, own_copy=True)
    assert [copy.freshness(t) for t in (exp, exp + 1, exp + 30 * DAY, exp + 30 * DAY + 1)] == [
        "fresh",
        "degraded",
        "degraded",
        "beyond",
    ]


def test_a_document_that_would_last_longer_than_the_policy_is_refused():
    net = network()
    refused(lambda: net.read(net.publish(exp=T0 + 8 * DAY)), "bad-shape")


def test_wrong_keys_only_the_online_key_of_the_root_signs_documents():
    net = network()
    for key in ("g1", "log", "distretto"):
        refused(lambda key=key: net.read(members.build_members(net.doc(), signer(key))), "unknown-key")


def test_a_document_of_another_network_or_of_an_unknown_root_is_refused():
    net = network()
    refused(lambda: net.read(net.publish(net="A" * 43)), "wrong-network")
    refused(lambda: net.read(net.publish(root=2)), "root-chain")


def test_one_flipped_character_anywhere_is_refused():
    net = network()
    raw = net.publish()
    for place in range(0, len(raw), 97):
        damaged = raw[:place] + (b"A" if raw[place : place + 1] != b"A" else b"B") + raw[place + 1 :]
        with pytest.raises(ProtocolError):
            net.read(damaged)
    with pytest.raises(ProtocolError):
        net.read(b"\xff" + raw)


# -- admissions


@pytest.mark.feature("F004-19")
def test_the_server_alone_invents_no_pua():
    net = network()
    forged = net.admission(
        "pua-finto", by=["online", "log", "pua-finto"], ptype="PT-PUA", caps=["pua", "take-in-charge"]
    )
    net.add("pua-finto", admission=forged)
    seen = net.step()
    assert seen.void == {"pua-finto": "admission-invalid"}
    assert seen.signing_key("pua-finto", signer("pua-finto").kid) is None
    assert refused(lambda: seen.active("pua-finto"), "not-a-member").got == "admission-invalid"
    assert set(seen.members) == {"comune-uno", "distretto"}


def test_the_server_cannot_widen_an_admission():
    net = network()
    signed = net.admission("distretto", caps=["take-in-charge"])
    fields = msgspec.json.decode(signed)
    fields["payload"] = msgspec.json.decode(net.admission("distretto", by=["online"], caps=["take-in-charge", "pis"]))[
        "payload"
    ]
    net.change("distretto", admission=msgspec.json.encode(fields).decode())
    assert net.step().void == {"distretto": "admission-invalid"}


def test_threshold_two_admissions_with_the_same_key_twice_are_one():
    raw = signed_root(root_of(["g1", "g2", "g3"], admission_threshold=2), ["g1", "g2"])
    net = Network()
    net.root, net.net = TrustedRoot.start(raw, net_of(raw), S1), net_of(raw)
    net.add("solo", admission=net.admission("solo", by=["g1", "g1"]))
    net.add("due", admission=net.admission("due", by=["g1", "g3"]))
    apart = [net.admission("tre", by=[g]) for g in ("g2", "g3")]
    net.add("tre", admission=admissions.merge(apart))
    seen = net.step()
    assert (set(seen.members), seen.void) == ({"due", "tre"}, {"solo": "admission-invalid"})


def test_an_admission_for_another_network_is_void():
    other = Network()
    other.net = "A" * 43
    net = network()
    net.change("distretto", admission=other.admission("distretto"))
    assert net.step().void == {"distretto": "admission-invalid"}


def test_a_body_listed_twice_counts_for_nothing():
    net = network()
    seen = net.step(members=[*net.entries.values(), net.entry("distretto", status="suspended")])
    assert seen.void == {"distretto": "bad-shape"}
    assert set(seen.members) == {"comune-uno"}


@pytest.mark.feature("F004-04")
def test_a_renamed_body_keeps_its_identity_and_its_keys():
    net = network()
    before = net.step()
    net.change("distretto", admission=net.admission("distretto", seq=2, name="Distretto 1 - AST Pesaro Urbino"))
    after = net.step(before)
    assert after.active("distretto").name == "Distretto 1 - AST Pesaro Urbino"
    assert after.active("distretto").current.kid == before.active("distretto").current.kid
    assert [c.what for c in after.diff(before)] == ["admission"]


def test_an_older_admission_served_again_is_void():
    net = network()
    original = net.entries["distretto"].admission
    one = net.step()
    net.change("distretto", admission=net.admission("distretto", seq=2, caps=[]))
    two = net.step(one)
    net.change("distretto", admission=original)
    three = net.step(two)
    assert three.void == {"distretto": "members-rollback"}
    net.change("distretto", admission=net.admission("distretto", seq=2, caps=["pis"]))
    assert net.step(three).void == {"distretto": "admission-invalid"}


@pytest.mark.feature("F004-27")
def test_nine_comuni_enrolled_by_delegation_each_hold_their_own_key():
    net = Network()
    nine = [f"comune-{i}" for i in range(9)]
    for node in nine:
        net.add(node, admission=net.admission(node, delegated_by="capofila"))
    seen = net.step()
    assert {seen.active(node).delegated_by for node in nine} == {"capofila"}
    assert len({seen.active(node).current.kid for node in nine}) == 9


@pytest.mark.feature("F004-19")
def test_a_member_of_an_old_protocol_version_is_named():
    net = network()
    newest = m.ProtocolVersion("2", "A" * 43)
    net.change("distretto", admission=net.admission("distretto", seq=2, protocol=newest))
    assert net.step(protocols=[PROTOCOL, newest]).outdated() == ("comune-uno",)


# -- suspension


@pytest.mark.feature("F004-19")
def test_suspended_then_readmitted_needs_a_new_admission_with_a_new_key():
    net = network()
    active = net.step()
    net.change("distretto", status="suspended", since=T0 + 5)
    suspended = net.step(active)
    assert refused(lambda: suspended.active("distretto"), "suspended")
    assert suspended.sealing_for("distretto", T0) is None
    assert suspended.signing_key("distretto", signer("distretto").kid).status == "current"

    net.change("distretto", status="active")
    lifted = net.step(suspended)
    assert lifted.void == {"distretto": "admission-invalid"}

    old, fresh = net.entries["distretto"], signer("distretto-nuovo")
    net.change("distretto", admission=net.admission("distretto", seq=2), former=[])
    assert net.step(lifted).void == {"distretto": "admission-invalid"}

    net.add(
        "distretto",
        admission=net.admission("distretto", seq=2, first=fresh),
        routes=net.routes("distretto", key=fresh),
        former=[m.Former(admission=old.admission)],
    )
    back = net.step(lifted)
    assert back.active("distretto").current.kid == fresh.kid
    assert back.signing_key("distretto", signer("distretto").kid).status == "revoked"
    assert [c.what for c in back.diff(suspended)] == ["status", "admission", "new-key", "revoked", "routes"]


def test_an_ended_member_is_no_member_and_its_old_key_never_returns():
    net = network()
    one = net.step()
    net.change("distretto", status="ended")
    two = net.step(one)
    refused(lambda: two.active("distretto"), "not-a-member")
    first, second = signer("distretto"), signer("distretto-b")
    net.add(
        "distretto",
        admission=net.admission("distretto", seq=2, first=second),
        routes=net.routes("distretto", key=second),
        keys=[net.key_statement("distretto", first, second)],
    )
    assert net.step(two).void == {"distretto": "admission-invalid"}


def test_a_readmission_that_hides_the_past_does_not_free_the_old_keys():
    net, fresh = network(), signer("distretto-nuovo")
    one = net.step()
    net.add(
        "distretto", admission=net.admission("distretto", seq=2, first=fresh), routes=net.routes("distretto", key=fresh)
    )
    two = net.step(net.step(one))
    assert two.signing_key("distretto", signer("distretto").kid).status == "revoked"
    net.add("distretto", admission=net.admission("distretto", seq=3), routes=net.routes("distretto"))
    assert net.step(two).void == {"distretto": "admission-invalid"}


def test_an_entry_that_vanishes_is_reported_and_cannot_come_back_older():
    net = network()
    net.change("distretto", **rotated(net, "distretto"))
    one = net.step()
    gone = net.entries.pop("distretto")
    two = net.step(one)
    assert [(c.node, c.what) for c in two.diff(one)] == [("distretto", "left")]
    net.entries["distretto"] = msgspec.structs.replace(gone, keys=[], routes=net.routes("distretto"))
    assert net.step(two).void == {"distretto": "key-chain"}


# -- keys


def test_a_rotated_key_is_followed_and_the_old_one_superseded():
    net = network()
    one = net.step()
    net.change("distretto", **rotated(net, "distretto"))
    two = net.step(one)
    member = two.active("distretto")
    assert (member.current.kid, member.current.how, member.current.n) == (signer("distretto-2").kid, "rotation", 2)
    assert two.signing_key("distretto", signer("distretto").kid).status == "superseded"
    assert next((c.what, c.now) for c in two.diff(one)) == ("new-key", signer("distretto-2").kid)


def test_a_compromised_key_is_revoked_by_its_successor():
    net = network()
    net.change("distretto", **rotated(net, "distretto", reason="compromise"))
    assert net.step().signing_key("distretto", signer("distretto").kid).status == "revoked"


def test_the_registry_alone_can_only_take_keys_away():
    net = network()
    net.change("distretto", revoked=[signer("distretto").kid])
    assert net.step().signing_key("distretto", signer("distretto").kid).status == "revoked"


def test_a_revoked_key_stays_revoked_when_the_list_forgets_it():
    net = network()
    net.change("distretto", **rotated(net, "distretto"), revoked=[signer("distretto").kid])
    one = net.step()
    net.change("distretto", revoked=[])
    two = net.step(net.step(one))
    assert two.signing_key("distretto", signer("distretto").kid).status == "revoked"


def test_a_key_statement_signed_by_the_registry_changes_no_key():
    net = network()
    forged = net.key_statement("distretto", signer("evil"), signer("distretto"), by=signer("online"))
    net.change("distretto", keys=[forged], routes=net.routes("distretto", key=signer("evil")))
    assert net.step().void == {"distretto": "key-chain"}


@pytest.mark.parametrize("n", [3, 4])
def test_a_key_chain_that_skips_a_number_is_void(n):
    net = network()
    net.change("distretto", **rotated(net, "distretto", n=n))
    assert net.step().void == {"distretto": "key-chain"}


def test_another_members_key_statement_is_void():
    net = network()
    net.change("distretto", keys=[net.key_statement("comune-uno", signer("new"), signer("distretto"))])
    assert net.step().void == {"distretto": "key-chain"}


def test_a_chain_cut_back_to_a_stolen_old_key_is_void():
    net = network()
    net.change("distretto", **rotated(net, "distretto"))
    one = net.step()
    net.change("distretto", keys=[], routes=net.routes("distretto", n=3, sealing=sealer("evil")))
    two = net.step(one)
    assert two.void == {"distretto": "key-chain"}
    branch = net.key_statement("distretto", signer("evil"), signer("distretto"))
    net.change("distretto", keys=[branch], routes=net.routes("distretto", n=3, key=signer("evil")))
    assert net.step(two).void == {"distretto": "key-chain"}


def test_a_chain_that_returns_to_an_earlier_key_is_void():
    net = network()
    two = net.key_statement("distretto", signer("b"), signer("distretto"))
    three = net.key_statement("distretto", signer("distretto"), signer("b"), n=3)
    net.change("distretto", keys=[two, three])
    assert net.step().void == {"distretto": "key-chain"}


def recovering(net, *, by, reason="recovery"):
    new = signer("distretto-new")
    net.add(
        "distretto",
        admission=net.admission("distretto", recovery=x(signer("offline"))),
        keys=[net.key_statement("distretto", new, signer("distretto"), reason=reason, by=by)],
        routes=net.routes("distretto", key=new),
    )
    return net.step()


def test_the_members_own_recovery_key_restores_it_and_everyone_is_told_how():
    seen = recovering(Network(), by=signer("offline"))
    assert (seen.active("distretto").current.how, seen.active("distretto").current.since) == ("recovery", T0)
    assert seen.signing_key("distretto", signer("distretto").kid).status == "revoked"


def test_a_recovery_cannot_pass_for_a_rotation_nor_the_other_way_round():
    assert recovering(Network(), by=signer("offline"), reason="rotation").void
    assert recovering(Network(), by=signer("distretto"), reason="recovery").void
    assert recovering(Network(), by=signer("g1")).void


@pytest.mark.parametrize(
    ("guarantors", "void"),
    [(["g1", "g3"], {}), (["g1"], {"distretto": "key-chain"}), (["g1", "evil"], {"distretto": "key-chain"})],
)
def test_the_root_threshold_restores_a_member_that_lost_everything(guarantors, void):
    net, new = network(), signer("distretto-new")
    statement = m.KeyStatement(
        net=net.net, node="distretto", n=2, x=x(new), prev=signer("distretto").kid, iat=T0, reason="recovery"
    )
    text = statements.sign_recovery_by_guarantors(statement, [signer(g) for g in guarantors])
    net.change("distretto", keys=[text], routes=net.routes("distretto", key=new))
    assert net.step().void == void


# -- routes and sealing


def test_a_swapped_sealing_key_is_never_sealed_to():
    net = network()
    one = net.step()
    net.change("distretto", routes=net.routes("distretto", n=2, key=signer("online"), sealing=sealer("evil")))
    two = net.step(one)
    assert two.unroutable == {"distretto": "unknown-key"}
    assert two.sealing_for("distretto", T0).raw == sealer("distretto").public
    newcomer = net.read(two.raw)
    assert newcomer.sealing_for("distretto", T0) is None


def test_an_older_routes_statement_served_again_is_not_used():
    net = network()
    old = net.entries["distretto"].routes
    net.change("distretto", routes=net.routes("distretto", n=2, sealing=sealer("newer")))
    one = net.step()
    net.change("distretto", routes=old)
    two = net.step(one)
    assert two.unroutable == {"distretto": "members-rollback"}
    assert two.sealing_for("distretto", T0).raw == sealer("newer").public
    assert net.step(two).unroutable == {"distretto": "members-rollback"}


def test_two_routes_statements_of_one_number_are_a_fork():
    net = network()
    one = net.step()
    net.change("distretto", routes=net.routes("distretto", sealing=sealer("other")))
    assert net.step(one).unroutable == {"distretto": "members-fork"}


def test_another_members_routes_are_not_used():
    net = network()
    net.change("distretto", routes=net.routes("comune-uno", key=signer("distretto")))
    assert net.step().unroutable == {"distretto": "bad-shape"}


def test_held_routes_do_not_outlive_the_key_that_stated_them():
    net = network()
    one = net.step()
    net.change(
        "distretto", keys=[net.key_statement("distretto", signer("b"), signer("distretto"), reason="compromise")]
    )
    two = net.step(one)
    assert two.sealing_for("distretto", T0) is None


def test_the_next_statement_takes_over_at_its_time():
    net = network()
    later = T0 + 7 * DAY
    net.change(
        "distretto",
        routes_next=net.routes("distretto", n=2, since=later, sealing=sealer("next"), urls=["https://d.example"]),
    )
    seen = net.step()
    assert seen.sealing_for("distretto", later - 301).raw == sealer("distretto").public
    assert seen.sealing_for("distretto", later).raw == sealer("next").public
    assert (seen.active("distretto").urls(T0), seen.active("distretto").urls(later)) == ((), ("https://d.example",))
    net.change("distretto", routes=net.entries["distretto"].routes_next, routes_next=msgspec.UNSET)
    promoted = net.step(seen)
    assert not promoted.unroutable
    net.change("distretto", routes=net.routes("distretto"))
    assert net.step(promoted).unroutable == {"distretto": "members-rollback"}


def test_sealing_keys_count_from_and_until():
    net = network()
    keys = [m.SealingKey(x(sealer("a")), T0, T0 + 100), m.SealingKey(x(sealer("b")), T0 + 1000)]
    statement = m.RoutesStatement(
        net=net.net, node="distretto", n=1, since=T0, urls=[], relays=[], sealing=keys, iat=T0
    )
    net.change("distretto", routes=statements.sign_routes(statement, signer("distretto")))
    seen = net.step()
    pick = [seen.sealing_for("distretto", t) for t in (T0, T0 + 101, T0 + 701)]
    assert [key and key.raw for key in pick] == [sealer("a").public, None, sealer("b").public]


def test_a_low_order_sealing_key_makes_a_member_unroutable():
    net = network()
    statement = m.RoutesStatement(
        net=net.net, node="distretto", n=1, since=T0, urls=[], relays=[], sealing=[m.SealingKey("A" * 43, T0)], iat=T0
    )
    net.change("distretto", routes=statements.sign_routes(statement, signer("distretto")))
    assert net.step().unroutable == {"distretto": "bad-key"}


# -- one's own entry


def test_each_node_sees_what_is_wrong_with_its_own_entry():
    net = network()
    mine = (signer("distretto").kid, [sealer("distretto").kid])
    one = net.step()
    assert one.own_alarms("distretto", *mine) == ()
    assert one.own_alarms("distretto", signer("x").kid, []) == ("foreign-key", "foreign-sealing")
    assert one.own_alarms("nobody", *mine) == ("absent",)
    net.change("distretto", status="suspended")
    net.change("comune-uno", admission=net.admission("comune-uno", by=["online"]))
    two = net.step(one)
    assert two.own_alarms("distretto", *mine) == ("not-active",)
    assert two.own_alarms("comune-uno", *mine) == ("admission-invalid",)
    assert [(c.node, c.what) for c in two.diff(one)] == [
        ("comune-uno", "void"),
        ("comune-uno", "left"),
        ("distretto", "status"),
    ]


# -- roots that change under it


def test_an_expired_root_stops_no_known_peer_and_brings_no_new_member_or_key():
    net = network()
    one = net.step(now=T0)
    late = net.root.root.exp + DAY
    net.change("comune-uno", status="suspended")
    net.change("distretto", **rotated(net, "distretto"))
    net.add("nuovo")
    two = net.read(net.publish(one, now=late), one, late)
    assert two.void == {"nuovo": "root-expired"}
    assert two.active("distretto").current.kid == signer("distretto").kid
    assert two.member("comune-uno").status == "suspended"
    assert two.freshness(late) == "degraded"
    assert two.freshness(late + 181 * DAY) == "beyond"
    assert set(net.read(two.raw, now=late, own_copy=True).members) == {"comune-uno", "distretto", "nuovo"}


def test_under_an_expired_root_the_registry_cannot_lift_a_suspension():
    net = network()
    net.change("distretto", status="suspended")
    one = net.step()
    late = net.root.root.exp + DAY
    forged = net.admission("distretto", by=["online"], seq=2, first=signer("evil"))
    net.change("distretto", status="active", admission=forged)
    assert net.read(net.publish(one, now=late), one, late).void == {"distretto": "root-expired"}


def test_the_real_ceremony_replaces_a_pilot_without_enrolling_again():
    raw = signed_root(root_of(["solo"], threshold=1, pilot=True), ["solo"])
    net = Network()
    net.net = net_of(raw)
    net.root = pilot = TrustedRoot.start(raw, net.net, S1)
    net.add("distretto", admission=net.admission("distretto", by=["solo"]))
    one = net.step()
    ceremony = ["solo", "g1", "g2"]

    def real(vouches):
        return pilot.update(signed_root(root_of(["g1", "g2", "g3"], n=2, net=net.net, vouches=vouches), ceremony))

    net.root = real([])
    assert net.step(one).void == {"distretto": "admission-invalid"}
    net.root = real([one.active("distretto").verified.payload_hash])
    two = net.step(one)
    assert two.active("distretto").current.kid == one.active("distretto").current.kid
    # the pilot's key admits nobody any more
    net.add("intruso", admission=net.admission("intruso", by=["solo"]))
    assert net.step(two).void == {"intruso": "admission-invalid"}


# -- cost


class CountingSuite:
    """S1 that counts signature checks."""

    def __init__(self):
        self.checks = 0

    def verify_key(self, raw):
        key, suite = S1.verify_key(raw), self

        class Counted:
            raw, kid = key.raw, key.kid

            def verify(self, signature, data):
                suite.checks += 1
                key.verify(signature, data)

        return Counted()

    def __getattr__(self, name):
        return getattr(S1, name)


def test_what_was_verified_once_is_not_verified_again():
    suite = CountingSuite()
    net = Network(suite)
    for i in range(30):
        net.add(f"ente-{i}")
    one = net.step()
    suite.checks = 0
    net.change("ente-7", status="suspended")
    net.change("ente-8", routes=net.routes("ente-8", n=2))
    two = net.step(one)
    assert suite.checks == 3  # the document, and the admission and routes of the one entry that changed
    assert two.member("ente-7").status == "suspended"
    suite.checks = 0
    net.read(two.raw)
    assert suite.checks == 61
