"""What a members document means for the map: who is shown, hidden, gone. Used alike by the registry and by followers.

It depends on the newest document and on log positions only: who skipped versions, or rebuilds, has the same map.
"""

import sqlite3
from collections.abc import Callable

from node.map.fold import MemberStatus
from node.map.tables import apply
from protocol.admissions import claimed
from protocol.members import Member, Membership


def apply_membership(
    tx: sqlite3.Connection, membership: Membership, seq: int, admission_at: Callable[[str, int], int | None]
) -> None:
    """`seq`: log position of the document; `admission_at(node, after)`: that of the node's first admission numbered

    above `after`. What a re-admitted member published before it came back is gone: its keys of then are revoked.
    """
    known = dict(tx.execute("SELECT node, status FROM map_member"))
    for node, member in membership.members.items():
        if member.entry.former and (back := admission_at(node, _last_former(member))) is not None:
            _end_before(tx, node, back)
        if known.get(node) != member.status:
            apply(tx, MemberStatus(seq, node, member.status))


def _end_before(tx: sqlite3.Connection, node: str, seq: int) -> None:
    row = tx.execute("SELECT ended FROM map_member WHERE node = ?", (node,)).fetchone()
    if row is None or row[0] < seq:
        apply(tx, MemberStatus(seq, node, "ended"))


def _last_former(member: Member) -> int:
    return max(claimed(former.admission).seq for former in member.entry.former)
