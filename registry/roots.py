"""Roots on the server: drafting the next one, installing a signed one. No guarantor's key ever comes here.

A new root may bring new guarantors (the real ceremony after a pilot): it vouches for what the earlier ones signed, so
that nobody has to enrol again.
"""

import sqlite3

from protocol import jws
from protocol.errors import ProtocolError
from protocol.limits import ROOT_MAX
from protocol.roots import TrustedRoot
from protocol.statements import GENERAL_MAX
from protocol.strict import b64u_encode, digest
from registry.asking import Installed
from registry.board import Board, Published, identity, network, set_setting
from registry.ceremony import RootPlan, draft_root
from registry.members import reissue


def make_server_keys(board: Board) -> tuple[str, str]:
    """The online and the log key, in the server's keystore; their public halves. Made once, then found again."""
    kids = [entry.kid for entry in board.keystore.entries() if entry.use == "sign"]
    held = [b64u_encode(board.suite.signing_key(board.keystore.signing_seed(kid)[1]).public) for kid in kids]
    while len(held) < 2:
        held.append(_new_key(board))
    return held[0], held[1]


def _new_key(board: Board) -> str:
    seed = board.dice.bytes(32)
    key = board.suite.signing_key(seed)
    board.keystore.add_signing(seed, key.kid, board.clock.now())
    return b64u_encode(key.public)


def next_draft(db: sqlite3.Connection, board: Board, plan: RootPlan, *, new_server_keys: bool = False) -> bytes:
    """The payload of the next root, vouching for everything signed until now.

    `new_server_keys`: another online and another log key (this server was broken into); they are made in the keystore
    now and count once the root is installed.
    """
    root = board.root(db)
    online, log = root.root.online.x, root.root.log.x
    if new_server_keys:
        online, log = _new_key(board), _new_key(board)
    changed = {one.x for one in plan.guarantors} != {one.x for one in root.root.guarantors}
    stricter = plan.threshold > root.root.threshold or plan.admission_threshold > root.root.admission_threshold
    return draft_root(
        plan, n=root.root.n + 1, online=online, log=log, now=board.clock.now(), net=root.net,
        vouches=_signed(db) if changed or stricter or root.root.vouches else (),
    )  # fmt: skip


def _signed(db: sqlite3.Connection) -> list[str]:
    """Payloads in force that guarantors signed: admissions, and recoveries by the threshold."""
    hashes = [str(h) for (h,) in db.execute("SELECT payload_hash FROM admission WHERE place != 'amended'")]
    for (text,) in db.execute("SELECT raw FROM key_statement WHERE substr(raw, 1, 1) = '{'"):
        hashes.append(digest(jws.parse_general(text.encode(), jws.KEY, max_bytes=GENERAL_MAX).payload))
    return sorted(set(hashes))


def prepare_root(raw: bytes, held: TrustedRoot | None, board: Board) -> TrustedRoot:
    """Pure. Raises threshold, root-chain; unknown-key when the server does not hold its online and log keys."""
    if held is None:
        net = digest(jws.parse_general(raw, jws.ROOT, max_bytes=ROOT_MAX).payload)
        root = TrustedRoot.start(raw, net, board.suite)
    else:
        root = held.update(raw)
    board.online_key(root)
    board.log_key(root)
    return root


def install_root(tx: sqlite3.Connection, board: Board, root: TrustedRoot) -> Installed:
    """Logs the root and a members document under it. Raises root-chain, or what an entry lacks under the new root.

    An admission that is neither signed by the new guarantors nor vouched for would be void: it stops the installation.
    """
    now, net = board.clock.now(), network(tx)
    (last,) = tx.execute("SELECT COALESCE(MAX(n), 0) FROM root").fetchone()
    if root.root.n != last + 1 or (net and net != root.net):
        raise ProtocolError("root-chain", field="n", expected=str(last + 1), got=str(root.root.n))
    if not net:
        set_setting(tx, "net", root.net)
    identity(tx)
    tx.execute(
        "INSERT INTO root (n, raw, hash, exp) VALUES (?, ?, ?, ?)",
        (root.root.n, root.raw.decode(), digest(root.raw), root.root.exp),
    )
    board.publish(tx, [Published("root", digest(root.raw), "", root.root.n, root.raw)])
    issued = reissue(tx, board, now)
    board.seal(tx, now)
    return Installed(root.root.n, root.net, root.root.pilot, issued.version)
