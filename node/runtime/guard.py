"""Who may hold how much of a server: connections, calls, bytes, memory. It counts and refuses; no HTTP, no sockets.

One address or member at its cap is told `too-fast`, the whole server at its own `busy`, both with seconds to wait. What
one of them holds never comes out of what the others may have, as long as the server's own limits are not reached.
"""

from collections import Counter as Tally
from collections.abc import Callable
from math import ceil
from typing import Final

import msgspec

from protocol.errors import ProtocolError

__all__ = ["Guard", "ServerLimits", "Visit"]

KIB: Final = 1024
MIB: Final = 1024 * KIB
REMEMBERED: Final = 4096  # callers whose recent bytes are kept; the refilled ones are forgotten first


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, bytes and counts, each with its reason. Those of an address grow with its connections (a proxy)."""

    header_seconds: float = 10  # for a whole header: an idle or dripping connection (slowloris)
    keepalive_seconds: float = 30  # an idle connection after an answer
    body_grace_seconds: float = 10  # a body may stay behind the rate by this long, and never gains more than this
    body_rate: int = KIB  # bytes per second, of a body and of whoever reads our answer
    write_seconds: float = 60  # how often we look whether an answer is read at that rate; systems send in bursts
    connections: int = 1000
    connections_per_address: int = 64
    in_flight: int = 256  # calls being answered, long polls and arriving bodies apart; above it an overload sheds
    wait_seconds: float = 5  # a call that waited longer for its turn is told `busy`, which costs less than answering it
    member_calls: int = 32  # calls of one member at once, long polls included; ours makes 6 and one poll a relay
    bytes_held: int = 128 * MIB  # of bodies arriving or being answered, in all; one of ours has at most 6 MiB
    address_bytes_held: int = MIB  # the same for one address, times its connections
    address_rate: int = 256 * KIB  # bytes per second sent by one address, times its connections; a burst of 16 s
    member_rate: int = 16 * MIB  # bytes per second sent by one member; a burst of 8 s
    linger_seconds: float = 2  # after a refusal, for the rest of the body, so that the sender reads the answer
    drain_seconds: float = 5  # at a stop, for the calls being answered


class _Budget:
    """Bytes a caller may still send: refilled at `rate`, at most `burst`."""

    __slots__ = ("at", "left")

    def __init__(self, burst: float, now: float) -> None:
        self.left = burst
        self.at = now


class _Budgets:
    """One budget for each caller, by name."""

    def __init__(self, rate: float, burst: float, now: Callable[[], float]) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._of: dict[str, _Budget] = {}

    def spend(self, who: str, count: int) -> None:
        """Raises too-fast with the seconds until there is something to spend again."""
        now = self._now()
        budget = self._of.get(who)
        if budget is None:
            budget = self._of[who] = _Budget(self._burst, now)
            if len(self._of) > REMEMBERED:
                self._forget(now)
        budget.left = min(self._burst, budget.left + (now - budget.at) * self._rate)
        budget.at = now
        if budget.left <= 0:
            raise ProtocolError("too-fast", after=max(1, ceil(-budget.left / self._rate)))
        budget.left -= count

    def _forget(self, now: float) -> None:
        full = [who for who, one in self._of.items() if one.left + (now - one.at) * self._rate >= self._burst]
        for who in full or list(self._of)[: REMEMBERED // 2]:
            del self._of[who]


class Guard:
    """The counts of one listener. `now`: monotonic seconds. Used from one thread."""

    def __init__(self, limits: ServerLimits, now: Callable[[], float]) -> None:
        self.limits = limits
        self.connections: Tally[str] = Tally()
        self.connected = 0
        self.in_flight = 0
        self.calls: Tally[str] = Tally()
        self.held: Tally[str] = Tally()
        self.bytes_held = 0
        slots = limits.connections_per_address
        self.of_address = _Budgets(limits.address_rate * slots, 16 * limits.address_rate * slots, now)
        self.of_member = _Budgets(limits.member_rate, 8 * limits.member_rate, now)

    def connect(self, address: str) -> None:
        """Give an address one place more; `disconnect` gives it back. Raises too-fast: it got none."""
        if self.connections[address] >= self.limits.connections_per_address:
            raise ProtocolError("too-fast", after=5)
        self.connections[address] += 1

    @property
    def full(self) -> bool:
        """More connections than the server holds."""
        return self.connected > self.limits.connections

    def disconnect(self, address: str) -> None:
        """The place is free again."""
        _less(self.connections, address, 1)


class Visit:
    """One call, from its header to the end of its answer. `leave` gives everything back, once."""

    __slots__ = ("_address", "_counted", "_guard", "_held", "_member")

    def __init__(self, guard: Guard, address: str, *, waits: bool) -> None:
        """Raises busy. `waits`: a long poll, which is no load."""
        self._guard = guard
        self._address = address
        self._member: str | None = None
        self._held = 0
        self._counted = False
        if not waits:
            self.work()

    def work(self) -> None:
        """From here on it is load. Raises busy."""
        if self._guard.in_flight >= self._guard.limits.in_flight:
            raise ProtocolError("busy", after=1)
        self._guard.in_flight += 1
        self._counted = True

    def rest(self) -> bool:
        """No load for now: it waits for bytes to come or to be read. True when it was."""
        was, self._counted = self._counted, False
        self._guard.in_flight -= was
        return was

    def admit(self, member: str) -> None:
        """The caller proved to be this member, before its body is read. Raises too-fast."""
        if self._member is not None:
            return
        if self._guard.calls[member] >= self._guard.limits.member_calls:
            raise ProtocolError("too-fast", after=1)
        self._member = member
        self._guard.calls[member] += 1

    def take(self, count: int) -> None:
        """So many bytes of the body came. Raises too-fast for who sent them, busy when all is held by many."""
        guard, limits = self._guard, self._guard.limits
        guard.of_address.spend(self._address, count)
        if self._member is not None:
            guard.of_member.spend(self._member, count)
        if guard.held[self._address] + count > limits.address_bytes_held * limits.connections_per_address:
            raise ProtocolError("too-fast", after=5)
        if guard.bytes_held + count > limits.bytes_held:
            raise ProtocolError("busy", after=5)
        self._held += count
        guard.held[self._address] += count
        guard.bytes_held += count

    def leave(self) -> None:
        guard = self._guard
        self.rest()
        if self._member is not None:
            _less(guard.calls, self._member, 1)
            self._member = None
        guard.bytes_held -= self._held
        _less(guard.held, self._address, self._held)
        self._held = 0


def _less(tally: Tally[str], key: str, count: int) -> None:
    tally[key] -= count
    if tally[key] <= 0:
        del tally[key]
