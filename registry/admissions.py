"""Who is in and who is not: guarantors' approvals taken in, suspension, end. Each makes a new members document.

Only signatures made off the server admit; the registry alone can suspend and end, never bring back.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from protocol import admissions
from protocol.errors import ProtocolError
from protocol.roots import TrustedRoot
from protocol.strict import decode, digest
from registry import objects
from registry.approval import FILE_MAX
from registry.asking import Admitted
from registry.board import Board, Published
from registry.joining import JOIN_MAX, check_wanted, make_draft
from registry.members import reissue
from registry.statements import keep_routes
from schemas.membership import ApprovalFile, JoinRequest, Status, Wanted


class Approved(NamedTuple):
    """One admission with enough guarantors behind it."""

    ref: str
    text: str
    verified: admissions.Verified


def prepare_admit(files: Sequence[bytes], root: TrustedRoot) -> list[Approved]:
    """Pure: joins the approvals of several guarantors and counts them. Raises wrong-network, admission-invalid."""
    by_ref: dict[str, list[str]] = {}
    for raw in files:
        file = decode(raw, ApprovalFile, max_bytes=FILE_MAX)
        if file.net != root.net:
            raise ProtocolError("wrong-network", field="net")
        for item in file.items:
            by_ref.setdefault(item.ref, []).append(item.admission)
    return [_approved(ref, texts, root) for ref, texts in by_ref.items()]


def _approved(ref: str, texts: Sequence[str], root: TrustedRoot) -> Approved:
    try:
        text = admissions.merge(texts)
    except ProtocolError as error:
        raise ProtocolError("admission-invalid", field=error.field, got=error.code) from None
    return Approved(ref, text, admissions.read_admission(text, root))


def admit(tx: sqlite3.Connection, board: Board, approved: Sequence[Approved]) -> Admitted:
    """All of them or none; what was admitted before by the same file is passed over.

    Raises admission-invalid (not the draft that was exported), already-decided, id-taken, not-found.
    """
    now = board.clock.now()
    root = board.root(tx)
    fresh = [item for item in approved if _is_fresh(tx, item)]
    if not fresh:
        row = tx.execute("SELECT COALESCE(MAX(version), 0) FROM members_doc").fetchone()
        return Admitted((), int(row[0]))
    for item, leaf in zip(fresh, board.publish(tx, [_leaf(item) for item in fresh]), strict=True):
        admissions.read_admission(item.text, root)  # the root may have changed since it was prepared
        _admit(tx, item, leaf, now)
    issued = reissue(tx, board, now)
    board.seal(tx, now)
    return Admitted(tuple(item.verified.admission.node for item in fresh), issued.version)


def _leaf(item: Approved) -> Published:
    admission, raw = item.verified.admission, item.text.encode()
    return Published("admission", digest(raw), admission.node, admission.seq, raw)


def _is_fresh(db: sqlite3.Connection, item: Approved) -> bool:
    row = db.execute("SELECT state, draft FROM join_request WHERE ref = ?", (item.ref,)).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="ref", got=item.ref)
    if digest(row[1].encode()) != item.verified.payload_hash:
        raise ProtocolError("admission-invalid", field="draft", expected="the draft that was exported", got=item.ref)
    if row[0] == "refused":
        raise ProtocolError("already-decided", field="ref", got=item.ref)
    return bool(row[0] == "pending")


def _admit(tx: sqlite3.Connection, item: Approved, leaf: int, now: int) -> None:
    admission = item.verified.admission
    _place(tx, item, leaf, now)
    tx.execute(
        "INSERT INTO member (node, status, since, joined) VALUES (?, 'active', ?, ?) ON CONFLICT (node) DO UPDATE SET"
        " since = CASE WHEN status = 'active' THEN since ELSE excluded.since END, status = 'active'",
        (admission.node, now, now),
    )
    request = tx.execute("SELECT request FROM join_request WHERE ref = ?", (item.ref,)).fetchone()
    keep_routes(tx, msgspec.json.decode(request[0], type=JoinRequest).routes, admission.first)
    tx.execute("UPDATE join_request SET state = 'admitted', decided = ? WHERE ref = ?", (now, item.ref))
    tx.execute(
        "UPDATE join_request SET state = 'refused', decided = ? WHERE node = ? AND state = 'pending'",
        (now, admission.node),
    )


def _place(tx: sqlite3.Connection, item: Approved, leaf: int, now: int) -> None:
    """The new admission is in force; the one before becomes an amended entry (same first key) or a former chain."""
    admission = item.verified.admission
    held = tx.execute(
        "SELECT a.seq, a.first, m.status FROM admission a JOIN member m USING (node)"
        " WHERE a.node = ? AND a.place = 'current'",
        (admission.node,),
    ).fetchone()
    if held is not None:
        seq, first, status = held
        amends = first == admission.first
        if admission.seq <= seq or amends is not (status == "active"):
            raise ProtocolError("id-taken", field="node", got=admission.node)
        place = "amended" if amends else "former"
        tx.execute("UPDATE admission SET place = ? WHERE node = ? AND seq = ?", (place, admission.node, seq))
        if not amends:
            objects.supersede_chain(tx, admission.node, now)
    tx.execute(
        "INSERT INTO admission (node, seq, first, raw, payload_hash, place, leaf) VALUES (?, ?, ?, ?, ?, 'current', ?)",
        (admission.node, admission.seq, admission.first, item.text, item.verified.payload_hash, leaf),
    )


# -- a body that changes its name


def amend(tx: sqlite3.Connection, board: Board, node: str, **changes: object) -> str:
    """Drafts a new entry for an active member under the same key (a renamed body keeps its id); guarantors sign it.

    Returns the ref of the pending request, the one that waits already when the same is asked again. `changes` are
    fields of Wanted. Raises not-a-member, suspended, bad-shape, unknown-code, already-decided.
    """
    member = board.membership(tx).active(node)
    if set(changes) - (set(Wanted.__struct_fields__) - {"node"}):
        raise ProtocolError("bad-shape", field="changes")
    held = {name: getattr(member.admission, name) for name in Wanted.__struct_fields__}
    wanted = decode(msgspec.json.encode(Wanted(**{**held, **changes})), Wanted, max_bytes=JOIN_MAX)
    check_wanted(wanted)
    now = board.clock.now()
    (routes,) = tx.execute("SELECT raw FROM routes WHERE node = ? AND n = 1", (node,)).fetchone()
    request = JoinRequest(wanted=wanted, first=member.admission.first, routes=routes)
    raw = msgspec.json.encode(request)
    waits = tx.execute(
        "SELECT ref FROM join_request WHERE state = 'pending' AND request = ?", (raw.decode(),)
    ).fetchone()
    if waits is not None:
        return str(waits[0])
    draft = make_draft(tx, wanted, member.admission.first, now)
    name = digest(raw + draft.encode())
    kept = tx.execute(
        "INSERT INTO join_request VALUES (?, ?, ?, ?, ?, 'pending', 1, ?, ?, NULL) ON CONFLICT DO NOTHING",
        (name[:22], node, member.admission.first, name, now, raw.decode(), draft),
    )
    if not kept.rowcount:  # decided within this second
        raise ProtocolError("already-decided")
    return name[:22]


# -- out


def suspend(tx: sqlite3.Connection, board: Board, node: str) -> int:
    """From now on relays and peers refuse it, and its entries are hidden. The members version. Raises not-a-member."""
    return _set_status(tx, board, node, "suspended", ("active",))


def end(tx: sqlite3.Connection, board: Board, node: str) -> int:
    """It has left: entries removed, open referrals may lapse. It stays listed, so that old bytes can be verified."""
    return _set_status(tx, board, node, "ended", ("active", "suspended"))


def _set_status(tx: sqlite3.Connection, board: Board, node: str, status: Status, was: tuple[str, ...]) -> int:
    row = tx.execute("SELECT status FROM member WHERE node = ?", (node,)).fetchone()
    if row is None:
        raise ProtocolError("not-a-member", field="node", got=node)
    if row[0] not in was:
        raise ProtocolError("already-decided", field="node", expected=" or ".join(was), got=row[0])
    now = board.clock.now()
    tx.execute("UPDATE member SET status = ?, since = ? WHERE node = ?", (status, now, node))
    if status == "ended":
        objects.supersede_chain(tx, node, now)
    issued = reissue(tx, board, now)
    board.seal(tx, now)
    return issued.version
