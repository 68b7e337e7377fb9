"""Desks that attach files: made-up bytes of a type, parts cut small, and what each end holds of them."""

import random

import msgspec

from node.cases import desk, files
from node.exchange import erased
from node.exchange.outbox import send_body
from node.requests import NewFile
from protocol.strict import b64u_decode, b64u_encode, digest
from schemas.bodies import GotBody, MissingBody, PartBody
from schemas.wire import Item, Receipt
from tests.exchange.desks import Ambito, offer

PDF, JPEG, PNG = b"%PDF-1.7\n", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"
PART = 100  # raw bytes of a part in these tests


def made(size, seed=1, head=PDF):
    """`size` bytes that begin as a file of that type."""
    return (head + random.Random(f"file {seed}").randbytes(size))[:size]


def small(path, *names, **options):
    """An Ambito whose parts hold 100 bytes."""
    ambito = Ambito(path, *names, **options)
    for each in ambito.desks.values():
        each.ctx.part_bytes = PART
    return ambito


def refer(sender, to, *contents, urgency="UR-ORD"):
    """A referral with files; returns its leg."""
    named = [NewFile(name=f"carta {i}.pdf", content=raw) for i, raw in enumerate(contents)]
    asked = desk.Refer(to=to, offer=offer(urgency=urgency), as_="OP", files=named)
    return sender.run(lambda tx: desk.refer(tx, sender.ctx, asked)).leg


def act(sender, leg, ev, *contents, **fields):
    named = [NewFile(name=f"altra {i}.pdf", content=raw) for i, raw in enumerate(contents)]
    return sender.run(lambda tx: desk.act(tx, sender.ctx, desk.Act(leg=leg, ev=ev, as_="AS", files=named, **fields)))


def listed(of, leg):
    return of.run(lambda tx: files.listing(tx, of.ctx, leg, "OP"))


def states(of, leg):
    return [line.state for line in listed(of, leg)]


def saved(of, leg, number=1):
    return of.run(lambda tx: files.save(tx, of.ctx, leg, number, "OP")).content


def forget(of, leg):
    """Erased here, as a retention run does it."""

    def run(tx):
        erased.mark(tx, erased.Tombstone(leg, None, of.ctx.clock.now(), "retention-expired", None, None))
        erased.settle(tx, of.ctx, leg)

    of.run(run)


def tick(*desks):
    for each in desks:
        each.run(each.exchange.tick)


def part_body(sender, to, leg, whole, number, count, **changes):
    """A part as `sender` would make it of the bytes `whole`; `changes` make it another."""
    raw = whole[(number - 1) * PART : number * PART]
    fields = {"sha256": digest(whole), "i": number, "of": count, "data": b64u_encode(raw)} | changes
    return PartBody(net=sender.ctx.net, sender=sender.name, to=to.name, jti=sender.ctx.dice.uuid4(), leg=leg, **fields)


def posted(sender, to, body):
    """Seals any body of `sender` and hands it to `to`; returns the acknowledgement or the `later`."""
    raw = msgspec.json.encode(body)
    sender.run(
        lambda tx: send_body(tx, sender.ctx, to.name, body, sender.ctx.dice.bytes(32), raw, place=None, urgent=0)
    )
    e, s = sender.one("SELECT e, s FROM outgoing WHERE jti = ?", body.jti)
    answer = to.receive([Item(e=e, s=s)]).answer
    sender.run(lambda tx: tx.execute("DELETE FROM outgoing WHERE jti = ?", (body.jti,)))
    if answer.later:
        return answer.later[0].code
    (ack,) = msgspec.json.decode(b64u_decode(answer.receipts[-1].split(".")[1]), type=Receipt).acks
    return ack.k if ack.k != "rejected" else f"rejected: {ack.prob}"


def missing_body(sender, to, leg, sha, i):
    return MissingBody(
        net=sender.ctx.net, sender=sender.name, to=to.name, jti=sender.ctx.dice.uuid4(), leg=leg, sha256=sha, i=i
    )


def got_body(sender, to, leg, sha):
    return GotBody(net=sender.ctx.net, sender=sender.name, to=to.name, jti=sender.ctx.dice.uuid4(), leg=leg, sha256=sha)


def early(of):
    """How many parts lie here that no event accounts for."""
    return of.one("SELECT COUNT(*) FROM blob JOIN blob_part ON blob = id WHERE state = 'early'")


def alarms(of):
    rows = of.store.read(lambda db: db.execute("SELECT code FROM alarm ORDER BY id").fetchall())
    return [code for (code,) in rows]
