"""Who gets in, and who cannot: attacks on invitations, approvals, suspension and return."""

import msgspec
import pytest

from protocol import admissions, jws
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.strict import b64u_encode, digest
from protocol.suite import S1
from registry import approval, ceremony
from schemas.membership import ApprovalFile, PendingFile, ProtocolVersion
from schemas.vocabularies import table
from tests.registry.world import World, line


def refused(code: str, action: object) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        action()
    assert caught.value.code == code, caught.value
    return caught.value


def pending_ref(world: World, node: str = "comune-tavullia", **more: object) -> str:
    body = world.body(node)
    code = world.run(lambda tx: world.engine.invite(tx, node)).code
    return world.join(body.request(world.protocol, world.clock.now(), code, **more)).ref


@pytest.mark.feature("F000-46", "F004-03")
def test_one_member_of_each_participant_type_joins_and_publishes(world):
    for code in table("participant_types"):
        node = f"ente-{code.lower()}"
        if code == "PT-ENTENAZ":  # a listed resource, never a member
            refused("unknown-code", lambda n=node: world.member(n, ptype="PT-ENTENAZ"))
            continue
        body = world.member(node, ptype=code)
        assert world.publish(body, [line(node=node)]).accepted
    assert len(world.members.members) == len(table("participant_types")) - 1
    assert not world.members.void


@pytest.mark.feature("F000-03")
def test_social_and_health_bodies_are_members_of_one_list(world):
    world.member("comune-tavullia")
    world.member("distretto", ptype="PT-DISTRETTO", caps=["take-in-charge", "pua"])
    assert {m.ptype for m in world.members.members.values()} == {"PT-COMUNE", "PT-DISTRETTO"}
    assert world.members.member("distretto").caps == {"take-in-charge", "pua"}


@pytest.mark.feature("F004-19")
def test_the_server_alone_can_admit_nobody(world):
    ref = pending_ref(world)
    draft = world.read(lambda db: world.engine.pending(db))[0].draft.encode()
    online = world.engine.board.online_key(world.members.root)
    forged = ApprovalFile(v=1, net=world.net, items=[approval.Approval(ref, admissions.sign(draft, [online]))])
    refused("admission-invalid", lambda: world.admit(msgspec.json.encode(forged)))
    world.run(
        lambda tx: (
            tx.execute("INSERT INTO member VALUES ('comune-tavullia', 'active', 1, 1)")
            and tx.execute(
                "INSERT INTO admission VALUES ('comune-tavullia', 1, 'x', ?, 'h', 'current', 0)",
                (admissions.sign(draft, [online]),),
            )
        )
    )
    refused("admission-invalid", lambda: world.run(lambda tx: world.engine._reissue(tx)))
    assert "comune-tavullia" not in world.members.members


def test_an_altered_approval_is_refused(world):
    ref = pending_ref(world)
    good = world.approve(ref)
    file = msgspec.json.decode(good, type=ApprovalFile)
    raw = jws.parse_general(file.items[0].admission.encode(), jws.ADM, max_bytes=99999)
    payload = (
        raw.payload.replace(b'"caps":[]', b'"caps":["pua"]')
        if b'"caps"' in raw.payload
        else raw.payload.replace(b'"node":"comune-tavullia"', b'"node":"comune-tavullia","caps":["pua"]')
    )
    assert payload != raw.payload
    general = msgspec.json.decode(file.items[0].admission.encode())
    general["payload"] = b64u_encode(payload)
    bad = approval.Approval(ref, msgspec.json.encode(general).decode())
    refused(
        "admission-invalid", lambda: world.admit(msgspec.json.encode(ApprovalFile(v=1, net=world.net, items=[bad])))
    )
    resigned = approval.Approval(ref, admissions.sign(payload, [world.guarantors[0].key]))
    error = refused(
        "admission-invalid",
        lambda: world.admit(msgspec.json.encode(ApprovalFile(v=1, net=world.net, items=[resigned]))),
    )
    assert error.field == "draft"
    assert world.admit(good).nodes == ("comune-tavullia",)


def test_a_guarantor_is_shown_a_draft_that_says_what_the_body_asked(world):
    pending_ref(world)
    file = world.read(lambda db: world.engine.export(db))
    item = file.items[0]
    for old, new in (('"name":"Ente', '"name":"Altro'), ('"seq":1', '"caps":["pua"],"seq":1')):
        bad = msgspec.structs.replace(item, draft=item.draft.replace(old, new))
        assert bad.draft != item.draft
        altered = msgspec.json.encode(msgspec.structs.replace(file, items=[bad]))
        refused("admission-invalid", lambda raw=altered: approval.read_pending(raw, S1, net=world.net))
    other = World(2)
    strange = msgspec.structs.replace(file, net=other.net)
    refused("wrong-network", lambda: approval.read_pending(msgspec.json.encode(strange), S1))
    refused("wrong-network", lambda: approval.read_pending(msgspec.json.encode(file), S1, net=other.net))
    other.close()


def test_approvals_of_several_guarantors_are_joined(world):
    plan = world.plan(("A", "B", "C"), admission=2)
    net = World(7, found=False)
    net.guarantors = world.guarantors
    from tests.registry.world import setup

    net.run(lambda tx: net.engine.configure(tx, setup()))
    net.install(ceremony.sign_root(net.engine.first_draft(plan), net.guarantors))
    ref = pending_ref(net)
    one, two = net.approve(ref, key=0), net.approve(ref, key=2)
    refused("admission-invalid", lambda: net.admit(one))
    refused("admission-invalid", lambda: net.admit(one, one))
    assert net.admit(one, two).nodes == ("comune-tavullia",)
    net.close()


def test_a_key_that_is_no_guarantors_cannot_approve(world):
    pending_ref(world)
    raw = msgspec.json.encode(world.read(lambda db: world.engine.export(db)))
    stranger = ceremony.guarantor_key("Nessuno", b"\3" * 32, S1)
    refused("unknown-key", lambda: approval.approve(approval.read_pending(raw, S1), stranger))


def test_an_invitation_works_once_for_its_node_and_seven_days(world):
    code = world.run(lambda tx: world.engine.invite(tx, "comune-tavullia")).code
    mine, other = world.body("comune-tavullia"), world.body("comune-tavullia")
    raw = mine.request(world.protocol, world.clock.now(), code)
    ref = world.join(raw).ref
    assert world.join(raw).ref == ref
    assert world.join(mine.request(world.protocol, world.clock.now() + 5, code)).ref == ref  # a retry signs routes anew
    refused("invitation-invalid", lambda: world.join(other.request(world.protocol, world.clock.now(), code)))
    wrong = world.run(lambda tx: world.engine.invite(tx, "comune-gradara")).code
    refused("invitation-invalid", lambda: world.join(other.request(world.protocol, world.clock.now(), wrong)))
    late = world.body("comune-gradara")
    world.clock.t += 7 * DAY + 1
    refused("invitation-invalid", lambda: world.join(late.request(world.protocol, world.clock.now(), wrong)))


def test_codes_are_stored_hashed_and_kept_out_of_requests(world):
    code = world.run(lambda tx: world.engine.invite(tx, "comune-tavullia")).code
    world.join(world.body("comune-tavullia").request(world.protocol, world.clock.now(), code))
    world.store.checkpoint()
    assert code.encode() not in world.store.path.read_bytes()
    assert digest(code.encode()).encode() in world.store.path.read_bytes()


def test_without_a_code_a_request_waits_and_gives_way_to_the_invited(world):
    stranger = world.body("comune-tavullia")
    ref = world.join(stranger.request(world.protocol, world.clock.now())).ref
    assert world.read(lambda db: world.engine.pending(db))[0].invited is False
    invited = pending_ref(world)
    assert world.read(lambda db: world.engine.join_state(db, ref)).state == "refused"
    world.admit(world.approve(invited))
    again = world.body("comune-tavullia")
    refused("id-taken", lambda: world.join(again.request(world.protocol, world.clock.now())))


def test_strangers_cannot_fill_the_store(world, monkeypatch):
    monkeypatch.setattr("registry.joining.UNINVITED_MAX", 2)
    for n in range(2):
        world.join(world.body(f"ente-{n}").request(world.protocol, world.clock.now()))
    refused("busy", lambda: world.join(world.body("ente-3").request(world.protocol, world.clock.now())))
    assert pending_ref(world)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"node": "Comune"}, "bad-shape"),
        ({"ptype": "PT-ALTRO"}, "unknown-code"),
        ({"caps": ["pua", "pua"]}, "bad-shape"),
        ({"protocol": ProtocolVersion("9", "A" * 43)}, "not-found"),
        ({"name": ""}, "bad-shape"),
        ({"node": "bacheca"}, "id-taken"),
        ({"name": "Comune \x1b[31mdi Tavullia"}, "bad-shape"),
        ({"name": "Comune \u202eaillavaT"}, "bad-shape"),
        ({"ptype": "PT-PATRONATO", "caps": ["take-in-charge"]}, "bad-shape"),
        ({"ptype": "PT-ODV", "caps": ["pua"]}, "bad-shape"),
        ({"territory": ["Tavullia"]}, "bad-shape"),
        ({"delegated_by": "comune-pesaro"}, "forbidden"),
        ({"hosted_by": "nessuno"}, "not-a-member"),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_its_code(world, change, code):
    body = world.body(change.get("node", "comune-tavullia"))
    asked = {"protocol": world.protocol, **change}
    refused(code, lambda: world.join(body.request(asked.pop("protocol"), world.clock.now(), **asked)))


def test_a_request_whose_routes_another_key_signed_is_refused(world):
    body, thief = world.body("comune-tavullia"), world.body("comune-tavullia")
    raw = msgspec.json.decode(body.request(world.protocol, world.clock.now()))
    raw["first"] = b64u_encode(thief.key.public)
    refused("unknown-key", lambda: world.join(msgspec.json.encode(raw)))
    raw["first"] = b64u_encode(b"\1" + b"\0" * 31)  # one constant signature verifies anything under this point
    refused("bad-key", lambda: world.join(msgspec.json.encode(raw)))


def test_the_capofila_may_turn_a_request_down(world):
    ref = pending_ref(world)
    file = world.approve(ref)
    world.run(lambda tx: world.engine.refuse(tx, ref))
    refused("already-decided", lambda: world.run(lambda tx: world.engine.refuse(tx, ref)))
    refused("already-decided", lambda: world.admit(file))
    refused("not-found", lambda: world.run(lambda tx: world.engine.refuse(tx, "nessuna")))


@pytest.mark.feature("F004-19")
def test_a_suspended_member_comes_back_only_with_a_new_key_and_the_guarantors(world):
    old = world.member("comune-tavullia")
    world.publish(old, [line()])
    world.run(lambda tx: world.engine.suspend(tx, "comune-tavullia"))
    assert world.members.member("comune-tavullia").status == "suspended"
    refused("already-decided", lambda: world.run(lambda tx: world.engine.suspend(tx, "comune-tavullia")))
    refused("suspended", lambda: world.post(old.catalogue([line("Altro")], world.clock.now())))
    refused("suspended", lambda: world.state(old.routes(world.clock.now(), 2)))
    code = world.run(lambda tx: world.engine.readmit(tx, "comune-tavullia")).code
    error = refused("bad-key", lambda: world.join(old.request(world.protocol, world.clock.now() + 1, code, name="X")))
    assert error.field == "first"
    back = world.body("comune-tavullia")
    ref = world.join(back.request(world.protocol, world.clock.now(), code)).ref
    world.admit(world.approve(ref))
    member = world.members.member("comune-tavullia")
    assert (member.status, member.admission.seq) == ("active", 2)
    assert world.members.signing_key("comune-tavullia", old.key.kid).status == "revoked"
    refused("revoked-key", lambda: world.post(old.catalogue([line("Altro")], world.clock.now())))
    back.held = old.held
    assert world.publish(back, [line()]).accepted


def test_an_active_member_cannot_be_readmitted_nor_its_id_taken(world):
    world.member("comune-tavullia")
    refused("not-found", lambda: world.run(lambda tx: world.engine.readmit(tx, "comune-tavullia")))
    refused("id-taken", lambda: world.run(lambda tx: world.engine.invite(tx, "comune-tavullia")))
    refused("not-found", lambda: world.run(lambda tx: world.engine.readmit(tx, "nessuno")))
    refused("not-a-member", lambda: world.run(lambda tx: world.engine.end(tx, "nessuno")))


def test_an_old_approval_does_not_bring_a_suspended_member_back(world):
    ref = pending_ref(world)
    file = world.approve(ref)
    world.admit(file)
    world.run(lambda tx: world.engine.suspend(tx, "comune-tavullia"))
    assert world.admit(file).nodes == ()
    assert world.members.member("comune-tavullia").status == "suspended"


@pytest.mark.feature("F004-04")
def test_a_renamed_body_keeps_its_id_keys_and_entries(world):
    body = world.member("distretto", ptype="PT-DISTRETTO", name="ASUR Zona 1")
    world.publish(body, [line(node="distretto")])
    before = world.members.member("distretto")
    ref = world.run(lambda tx: world.engine.amend(tx, "distretto", name="AST Pesaro Urbino"))
    assert world.members.member("distretto").name == "ASUR Zona 1"
    world.admit(world.approve(ref))
    after = world.members.member("distretto")
    assert (after.name, after.node, after.current.kid) == ("AST Pesaro Urbino", "distretto", before.current.kid)
    assert after.since == before.since and after.admission.seq == 2
    assert world.publish(body, [line("Altro", node="distretto")]).accepted
    refused("not-a-member", lambda: world.run(lambda tx: world.engine.amend(tx, "nessuno", name="X")))


@pytest.mark.feature("F004-19", "F004-22")
def test_members_of_an_older_protocollo_are_warned_and_each_version_is_kept(world):
    world.member("comune-tavullia")
    assert world.members.outdated() == ()
    kept = world.run(lambda tx: world.engine.add_protocollo(tx, "2", "text/plain", b"Versione due\n"))
    assert world.members.outdated() == ("comune-tavullia",)
    assert world.members.protocol() == ProtocolVersion("2", digest(b"Versione due\n"))
    assert world.read(lambda db: world.engine.protocollo(db, "1")).hash == world.protocol.hash
    assert kept.hash == digest(world.read(lambda db: world.engine.protocollo(db, "2")).document)
    refused("id-taken", lambda: world.run(lambda tx: world.engine.add_protocollo(tx, "2", "text/plain", b"x")))
    refused("not-found", lambda: world.read(lambda db: world.engine.protocollo(db, "3")))
    late = world.member("comune-gradara")  # an older version may still be accepted, and is warned about
    assert late.node in world.members.outdated()
    ref = world.run(lambda tx: world.engine.amend(tx, "comune-tavullia", protocol=ProtocolVersion("2", kept.hash)))
    world.admit(world.approve(ref))
    assert world.members.outdated() == ("comune-gradara",)


@pytest.mark.feature("F004-27", "F004-02")
def test_delegation_is_an_admission_like_any_other_with_the_bodys_own_keys(world):
    world.member("comune-pesaro")
    nodes = ["comune-gradara", "comune-tavullia"]
    invited = world.run(lambda tx: world.engine.delegate(tx, "comune-pesaro", nodes))
    assert [one.node for one in invited] == nodes
    body = world.body("comune-gradara")
    ref = world.join(body.request(world.protocol, world.clock.now(), invited[0].code)).ref
    exported = approval.read_pending(msgspec.json.encode(world.read(lambda db: world.engine.export(db))), S1)
    assert exported.reviews[0].set_by_registry == ("delegated_by",)
    world.admit(world.approve(ref))
    member = world.members.member("comune-gradara")
    assert member.delegated_by == "comune-pesaro"
    assert member.current.kid == body.key.kid
    world.run(lambda tx: world.engine.suspend(tx, "comune-pesaro"))
    refused("suspended", lambda: world.run(lambda tx: world.engine.delegate(tx, "comune-pesaro", ["comune-x"])))


def test_a_crash_between_admissions_leaves_all_or_none(world):
    refs = [pending_ref(world, f"ente-{n}") for n in range(3)]
    files = world.approve(*refs)
    version = world.members.version

    def half(tx):
        world.engine.admit(tx, world.engine.prepare_admit(tx, [files]))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        world.run(half)
    assert world.members.version == version and not world.members.members
    assert len(world.admit(files).nodes) == 3
    assert world.members.version == version + 1


def test_a_pending_file_is_read_strictly(world):
    pending_ref(world)
    raw = msgspec.json.encode(world.read(lambda db: world.engine.export(db)))
    file = msgspec.json.decode(raw, type=PendingFile)
    refused("bad-json", lambda: approval.read_pending(raw[:-1], S1))
    refused("bad-shape", lambda: approval.read_pending(b"{}", S1))
    cut = msgspec.json.encode(msgspec.structs.replace(file, roots=[file.roots[0][:-2]]))
    refused("bad-json", lambda: approval.read_pending(cut, S1))
    refused("not-found", lambda: approval.approve(approval.read_pending(raw, S1), world.guarantors[0], ["x"]))
