"""Guarantors' keys and sheets, the root in several sittings, the real ceremony after a pilot."""

import re

import msgspec
import pytest

from protocol import jws
from protocol.errors import ProtocolError
from protocol.statements import sign_recovery_by_guarantors
from protocol.strict import b64u_encode, digest
from protocol.suite import S1
from registry import ceremony
from registry.ceremony import RootPlan
from registry.sheet import sheet_html, sheet_text
from schemas.membership import KeyStatement, Root
from tests.map.test_follow import Replica, board_map
from tests.registry.test_admissions import refused
from tests.registry.world import World, line

SEED = bytes(range(32))


def test_a_seed_survives_paper():
    lines = ceremony.seed_lines(SEED)
    assert len(lines) == 4 and all(re.fullmatch(r"([A-Z2-7]{4} ){3}[A-Z2-7]{4}", text) for text in lines)
    assert ceremony.parse_seed(lines) == SEED
    assert ceremony.parse_seed([text.lower().replace(" ", "-").replace("o", "0") for text in lines]) == SEED


def test_every_mistyped_letter_is_found_in_its_line():
    lines = ceremony.seed_lines(SEED)
    for n, text in enumerate(lines):
        for at, letter in enumerate(text):
            if letter == " ":
                continue
            typed = list(lines)
            typed[n] = text[:at] + ("A" if letter != "A" else "C") + text[at + 1 :]
            with pytest.raises(ProtocolError) as caught:
                ceremony.parse_seed(typed)
            assert (caught.value.code, caught.value.field) == ("bad-key", f"line {n + 1}")
    refused("bad-key", lambda: ceremony.parse_seed([lines[1], lines[0], *lines[2:]]))
    refused("bad-key", lambda: ceremony.parse_seed(lines[:3]))
    refused("bad-key", lambda: ceremony.parse_seed(["è così", *lines[1:]]))


def test_a_key_file_opens_only_with_its_passphrase(monkeypatch):
    monkeypatch.setattr(ceremony, "_SCRYPT_N", 1 << 8)
    key = ceremony.guarantor_key("Distretto", SEED, S1)
    raw = ceremony.write_key(key, "quattro parole a caso", salt=b"s" * 16, nonce=b"n" * 12)
    assert b64u_encode(SEED).encode() not in raw
    assert ceremony.read_key(raw, S1, "quattro parole a caso").seed == SEED
    refused("bad-passphrase", lambda: ceremony.read_key(raw, S1))
    refused("bad-passphrase", lambda: ceremony.read_key(raw, S1, "altro"))
    plain = ceremony.write_key(key)
    assert ceremony.read_key(plain, S1).seed == SEED
    refused("bad-key", lambda: ceremony.read_key(plain.replace(key.public.x.encode(), b"A" * 43), S1))
    refused("keys-damaged", lambda: ceremony.read_key(b"{}", S1))
    assert ceremony.is_key_file(plain) and ceremony.is_key_file(raw) and not ceremony.is_key_file(b'{"v":1}')


def test_the_sheet_says_what_it_is_for_and_carries_no_markup_from_names():
    key = ceremony.guarantor_key("Ente <script>", SEED, S1)
    text, page = sheet_text(key, "Ambito 1", pilot=False), sheet_html(key, "Ambito 1", pilot=True)
    for printed in ceremony.seed_lines(SEED):
        assert printed in text and printed in page
    assert "mai sul server" in text and "PILOTA" not in text
    assert "RETE PILOTA" in page and "<script>" not in page


def test_a_plan_one_person_could_abuse_is_refused():
    key = ceremony.as_guarantor(ceremony.guarantor_key("A", SEED, S1))
    other = ceremony.as_guarantor(ceremony.guarantor_key("B", b"\2" * 32, S1))
    for plan in (
        RootPlan("R", (key, other), 1, 1),
        RootPlan("R", (key, key), 2, 1),
        RootPlan("R", (key, other), 3, 1),
        RootPlan("R", (key, other), 2, 0),
        RootPlan("R", (), 1, 1, pilot=True),
    ):
        refused("bad-shape", lambda p=plan: ceremony.draft_root(p, n=1, online=key.x, log=other.x, now=1))


def test_signatures_are_gathered_in_more_than_one_sitting():
    world = World(found=False)
    from tests.registry.world import setup

    world.run(lambda tx: world.engine.configure(tx, setup()))
    draft = world.engine.first_draft(world.plan(("A", "B", "C")))
    one, two = ([key] for key in world.guarantors[:2])
    sittings = [ceremony.sign_root(draft, one), ceremony.sign_root(draft, two)]
    assert all(ceremony.root_payload(raw) == draft for raw in (draft, *sittings))
    for raw in (*sittings, ceremony.join_root([sittings[0], sittings[0]])):
        refused("threshold", lambda r=raw: world.install(r))
    world.install(ceremony.join_root(sittings))
    assert world.net == digest(draft) and not world.members.root.pilot
    world.close()


def test_the_server_never_holds_a_guarantors_key(world):
    kids = {entry.kid for entry in world.keystore.entries()}
    root = world.members.root
    assert kids == {root.online.kid, root.log.key.kid}
    assert not kids & set(root.guarantors)
    raw = world.store.path.read_bytes()
    assert not any(key.seed in raw or b64u_encode(key.seed).encode() in raw for key in world.guarantors)


def replace_pilot(pilot: World, *, both: bool = True) -> bytes:
    """Root-2 with three guarantors, signed by the pilot's key and by two of the new ones."""
    old = list(pilot.guarantors)
    plan = pilot.plan(("Capofila", "Distretto", "Terzo"))
    draft = pilot.read(lambda db: pilot.engine.next_draft(db, plan))
    signers = [*(old if both else []), *pilot.guarantors[:2]]
    return ceremony.join_root([ceremony.sign_root(draft, [key]) for key in signers])


def test_the_real_ceremony_replaces_a_pilot_without_enrolling_again(pilot):
    body = pilot.member("comune-tavullia")
    pilot.publish(body, [line()])
    net, version = pilot.net, pilot.members.version
    assert pilot.members.root.pilot
    pilot.install(replace_pilot(pilot))
    held = pilot.members
    assert (pilot.net, held.root.root.n, held.root.pilot) == (net, 2, False)
    assert held.version == version + 1 and not held.void and not held.unroutable
    assert held.member("comune-tavullia").current.kid == body.key.kid
    assert pilot.publish(body, [line("Altro")]).accepted
    assert pilot.member("comune-gradara")  # admitted by a new guarantor
    pilot.restart()
    assert set(pilot.members.members) == {"comune-tavullia", "comune-gradara"}


def test_the_pilots_key_admits_nobody_after_the_real_ceremony(pilot):
    old = list(pilot.guarantors)
    signed = replace_pilot(pilot)
    body = pilot.body("comune-gradara")
    ref = pilot.join(body.request(pilot.protocol, pilot.clock.now())).ref
    new, pilot.guarantors = pilot.guarantors, old
    file = pilot.approve(ref)
    pilot.install(signed)
    refused("admission-invalid", lambda: pilot.admit(file))
    pilot.guarantors = new
    assert pilot.admit(pilot.approve(ref)).nodes == ("comune-gradara",)


def test_a_root_without_the_old_signatures_is_refused(pilot):
    pilot.member("comune-tavullia")
    refused("threshold", lambda: pilot.install(replace_pilot(pilot, both=False)))
    assert pilot.members.root.root.n == 1


def test_a_root_that_vouches_for_nobody_cannot_be_installed(pilot):
    pilot.member("comune-tavullia")
    old = list(pilot.guarantors)
    root = pilot.members.root.root
    plan = pilot.plan(("A", "B"))
    draft = ceremony.draft_root(
        plan, n=2, online=root.online.x, log=root.log.x, now=pilot.clock.now(), net=pilot.net, vouches=()
    )
    signed = ceremony.sign_root(draft, [*old, *pilot.guarantors])
    refused("admission-invalid", lambda: pilot.install(signed))
    assert pilot.members.root.root.n == 1 and pilot.members.member("comune-tavullia")


def test_a_root_is_renewed_with_the_same_guarantors(world):
    world.member("comune-tavullia")
    held = world.members.root.root
    world.clock.t = held.exp - 40 * 86400
    world.run(world.engine.daily)
    plan = RootPlan(held.name, tuple(held.guarantors), 2, 1)
    draft = world.read(lambda db: world.engine.next_draft(db, plan))
    assert msgspec.json.decode(draft, type=Root).vouches == []
    world.install(ceremony.sign_root(draft, world.guarantors[1:]))
    assert world.members.root.root.exp > held.exp and not world.members.void
    refused("root-chain", lambda: world.install(ceremony.sign_root(draft, world.guarantors)))


def test_a_root_for_keys_the_server_does_not_hold_is_refused(world):
    held = world.members.root.root
    plan = RootPlan(held.name, tuple(held.guarantors), 2, 1)
    stranger = b64u_encode(S1.signing_key(b"\5" * 32).public)
    draft = ceremony.draft_root(plan, n=2, online=stranger, log=held.log.x, now=world.clock.now(), net=world.net)
    refused("unknown-key", lambda: world.install(ceremony.sign_root(draft, world.guarantors)))


def test_a_recovery_signed_by_the_guarantors_outlives_them(pilot):
    """A member that lost every key, re-keyed by the pilot's guarantor, stays in when the guarantors change."""
    body = pilot.member("comune-tavullia")
    old, body.key = body.key, S1.signing_key(pilot.dice.bytes(32))
    statement = KeyStatement(
        net=pilot.net, node=body.node, n=2, x=b64u_encode(body.key.public), prev=old.kid,
        iat=pilot.clock.now(), reason="recovery",
    )  # fmt: skip
    text = sign_recovery_by_guarantors(statement, [key.key for key in pilot.guarantors])
    pilot.state(text, body.routes(pilot.clock.now(), 2))
    payload = jws.parse_general(text.encode(), jws.KEY, max_bytes=99999).payload
    signed = replace_pilot(pilot)
    assert digest(payload) in msgspec.json.decode(ceremony.root_payload(signed), type=Root).vouches
    pilot.install(signed)
    assert pilot.members.member("comune-tavullia").current.kid == body.key.kid


def test_a_server_that_was_broken_into_gets_new_keys_by_a_root(world, tmp_path):
    body = world.member("comune-tavullia")
    world.publish(body, [line()])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = Replica(tmp_path / "a", world)
    before.sync()
    stolen = world.engine.board.online_key(world.members.root), world.engine.board.log_key(world.members.root)
    held = world.members.root.root
    plan = RootPlan(held.name, tuple(held.guarantors), 2, 1)
    draft = world.read(lambda db: world.engine.next_draft(db, plan, new_server_keys=True))
    world.restart()
    world.install(ceremony.sign_root(draft, world.guarantors[:2]))
    root = world.members.root
    assert {root.online.kid, root.log.key.kid}.isdisjoint({key.kid for key in stolen})
    world.publish(body, [line("Nuova")])
    newcomer = Replica(tmp_path / "b", world)
    for replica in (before, newcomer):
        replica.sync()
        assert replica.map() == board_map(world)
