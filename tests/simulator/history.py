"""What an observer outside the world saw: who was told what, what was sealed, acknowledged, shown. It survives crashes.

The checks compare it with what the stores hold; it never feeds anything back into the world.
"""

from typing import NamedTuple


class Told(NamedTuple):
    """An operator was told that this event is written ("inviata")."""

    node: str
    leg: str
    writer: str
    n: int
    kind: str
    jti: str


class Sent(NamedTuple):
    """A sealing that left its sender."""

    sender: str
    dest: str
    jti: str
    event: bool = True


class Acked(NamedTuple):
    """A signed acknowledgement that left its signer."""

    signer: str
    to: str
    mid: str
    k: str
    st: int


class History:
    """Append-only; everything in order of arrival."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.sent: dict[str, Sent] = {}
        self.acked: dict[tuple[str, str, str], Acked] = {}  # (signer, mid, k)
        self.shown_final: dict[tuple[str, str], str] = {}  # (node, leg) → state shown as final
        self.suspended_at: dict[str, int] = {}
        self.held_of_suspended: list[tuple[str, str, int]] = []
        self.attached: dict[str, bytes] = {}  # hash → the bytes a person attached
        self.refused_attempts = 0
        self.wrong_clock_refusals = 0
        self.now = lambda: 0

    def relay_held(self, relay: str, caller: str, mids: list[str]) -> None:
        """A relay said `held`."""
        if caller in self.suspended_at:
            self.held_of_suspended.append((relay, caller, self.now()))
