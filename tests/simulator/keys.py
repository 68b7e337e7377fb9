"""Keys of the simulated world: what a node's keeper does in virtual time, and the faults of keys. Rules are in node.keys."""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from node.exchange.delivery import Parcel
from node.keys import confirming, own, recovering
from node.keys.own import Posting
from node.runtime.dice import SeededDice
from node.runtime.store import Outcome
from protocol import rotation
from protocol.errors import ProtocolError
from protocol.fingerprint import fingerprint
from protocol.limits import CLOCK_WARN
from protocol.strict import b64u_encode
from schemas.membership import Wanted
from tests.simulator.founding import routes, url_of, wanted
from tests.simulator.host import seed_of
from tests.simulator.kernel import Violation

if TYPE_CHECKING:
    from tests.simulator.shell import Node
    from tests.simulator.world import World

HOUR: Final = 3_600_000
_DAY: Final = rotation.DAY
TELEPHONE_EVERY: Final = 2 * HOUR
# The clock may be wrong, the member suspended, another change under way, or the members document not here yet.
_FAIR: Final = frozenset({"clock-wrong", "suspended", "not-a-member", "revoked-key", "bad-key"})


def speed_up(day: int) -> None:
    """A "day" of the calendar of keys lasts so many seconds."""
    rotation.DAY = day  # type: ignore[misc]


def slow_down() -> None:
    rotation.DAY = _DAY  # type: ignore[misc]


# -- the keeper


def state(node: "Node") -> None:
    """Posts what waits; what the board answers is a command, as in node.keys.keeper."""
    posting = own.waiting(node.reader)
    if posting is None or posting.next_at > node.clock.now():
        return
    board = node.directory.board
    node.network.call(
        node,
        board,
        lambda reply: board.statements(posting.texts, reply),
        lambda answer: _answered(node, posting, answer),
    )


def _answered(node: "Node", posting: Posting, answer: object) -> None:
    if answer is None or isinstance(answer, ProtocolError):
        problem = answer or ProtocolError("unreachable")
        node.kernel.note(node.name, "states in vain", problem.code)
        node.submit(lambda tx: own.failed(tx, node.ctx, posting.id, problem))
    else:
        node.kernel.note(node.name, "states", posting.kind)
        node.submit(lambda tx: own.accepted(tx, node.ctx, posting.id), lambda outcome: node.refresh())


def _ask(world: "World", node: "Node", command: Any, what: str) -> None:
    if not node.up or node.old or node.name == world.suspended:
        return

    def done(outcome: Outcome[Any]) -> None:
        if isinstance(outcome.error, ProtocolError) and outcome.error.code in _FAIR:
            return
        outcome.result()
        node.kernel.note(node.name, what)
        state(node)

    node.submit(command, done)


def nothing_unconfirmed(node: "Node", parcel: Parcel) -> None:
    """I20: nothing sealed leaves for a member whose key begins a chain anew before people here confirmed it."""
    member = node.membership.members.get(parcel.dest)
    if not parcel.mids or member is None:
        return
    link, how = rotation.beginning(member)
    row = node.reader.execute(
        "SELECT confirmed FROM peer_key WHERE node = ? AND kid = ?", (parcel.dest, link.kid)
    ).fetchone()
    if how != "first" and (row is None or row[0] is None):
        raise Violation("I20-unconfirmed", f"{node.name} → {parcel.dest} {how}")


# -- faults


def rotate(world: "World", node: "Node", share: float) -> None:
    """A person asks for new keys; now and then an old sealing key is lost on the way."""
    _ask(
        world,
        node,
        lambda tx: own.begin(tx, node.ctx, "rotation", signing=share < 0.5, sealing=share > 0.25),
        "rotates",
    )
    if share > 0.75 and node.up:
        lose_old(node)


def lose_old(node: "Node") -> None:
    """Sealing keys that are not in use any more: what was sealed to them has to be sealed again."""
    for kid, _, state_ in node.keystore.sealing_seeds():
        if state_ == "old":
            node.keystore.destroy(kid)
    node.ctx.reload_keys()


def compromise(world: "World", node: "Node") -> None:
    """Another may hold the keys."""
    _ask(world, node, lambda tx: own.begin(tx, node.ctx, "compromise", signing=True, sealing=True), "revokes its keys")


def with_emergency(world: "World", entry: Wanted) -> Wanted:
    """The entry with the public half of its emergency key."""
    return msgspec.structs.replace(
        entry, recovery=b64u_encode(world.suite.signing_key(emergency_seed(world, entry.node)).public)
    )


def emergency_seed(world: "World", name: str) -> bytes:
    return SeededDice(seed_of(world.plan.seed, name, "emergency")).bytes(32)


def recover(world: "World", node: "Node", lost: bool) -> None:
    """The store is there (a copy), its keys count no more; `lost`: the old sealing keys are gone too."""
    if lost and node.up:
        lose_old(node)
    seed = emergency_seed(world, node.name)
    _ask(world, node, lambda tx: recovering.with_key(tx, node.ctx, seed), "recovers")


def readmit(world: "World", node: "Node") -> None:
    """The guarantors admit it again, under another key; tried until every side is up and knows of the suspension."""
    board = world.board
    own_ = node.membership.members.get(node.name) if node.up else None
    entry = board.membership.members[node.name] if board.up else None
    if abs(node.clock.offset) > CLOCK_WARN:  # its program would refuse to ask
        own_ = None
    if entry is None or own_ is None or entry.status != "suspended" or own_.status != "suspended":
        world.kernel.after(HOUR // 2, lambda: readmit(world, node))
        return
    key = own.signing_candidate(node.ctx, own_)
    text = _routes_under(world, node, key)
    node.now_(lambda tx: own.remember(tx, node.ctx, text))
    number = [one.name for one in world.nodes].index(node.name)
    board.readmit(with_emergency(world, wanted(node.name, number)), key, text)
    world.history.suspended_at.pop(node.name, None)
    world.suspended = ""
    world.kernel.note(node.name, "is admitted again")
    board.changed()


def _routes_under(world: "World", node: "Node", key: Any) -> str:
    return routes(
        world.board.net, node.name, key, n=1, now=node.clock.now(),
        urls=[url_of(node.name)] if node.name in world.direct else [], relays=world.boxes[node.name],
        sealing=world.suite.sealing_key(node.keystore.sealing_seeds()[0][1]).public,
    )  # fmt: skip


# -- people


def people_telephone(world: "World") -> None:
    """Now and then somebody at each office confirms the new keys it was told of; at the end everybody does."""
    world.kernel.after(TELEPHONE_EVERY, lambda: people_telephone(world))  # first: a commit may be where a process dies
    for node in world.nodes:
        if node.up:
            _telephone(world, node)


def _telephone(world: "World", node: "Node") -> None:
    for member in node.membership.members.values():
        other = world.directory.nodes.get(member.node)
        if other is None or other is node or not other.up:
            continue
        found = confirming.new_key(node.reader, member)
        if found is None or found.confirmed is not None:
            continue
        words = " ".join(fingerprint(other.ctx.keys.signing.public))  # as the other office reads its own screen

        def confirm(tx: Any, node: "Node" = node, name: str = member.node, words: str = words) -> None:
            confirming.confirm(tx, node.membership.member(name), words, "OP", node.clock.now())

        node.submit(confirm, lambda outcome, node=node, name=member.node: _confirmed(node, name, outcome))


def _confirmed(node: "Node", name: str, outcome: Outcome[None]) -> None:
    if isinstance(outcome.error, ProtocolError) and outcome.error.code in ("words-differ", "nothing-to-confirm"):
        return  # one of the two has an older document: they telephone again
    outcome.result()
    node.kernel.note(node.name, "confirms", name)
    node.tick()
