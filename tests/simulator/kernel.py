"""Virtual time, the trace, and a network with faults. No threads, no wall clock; everything from one seed.

What happens at the same millisecond happens in the order in which it was asked for.
"""

import contextlib
import heapq
import random
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, Protocol

import msgspec

from schemas.wire import Item
from tests.simulator.plan import Plan

TIMEOUT_MS: Final = 30_000
EVENTS_MAX: Final = 400_000  # ordinary worlds have 10,000 to 60,000: more means that somebody is spinning
Act = Callable[[], None]


class Violation(AssertionError):
    """An invariant does not hold. `code` is short and stable, so that shrinking can tell one failure from another."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        super().__init__(f"{code}: {detail}" if detail else code)


class Died(BaseException):
    """The process that was running is dead: whatever it was about to do next does not happen."""


class Trace:
    """One hash over everything that happened, and the lines themselves when somebody wants to read them."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._hash = blake2b(digest_size=16)
        self._show = show
        self.lines = 0

    def add(self, now: int, *words: object) -> None:
        line = f"{now} {' '.join(map(str, words))}"
        self._hash.update(line.encode() + b"\n")
        self.lines += 1
        if self._show:
            self._show(
                f"{now // 86_400_000}d{now // 3_600_000 % 24:02}:{now // 60_000 % 60:02}:{now // 1000 % 60:02}.{now % 1000:03} {line.partition(' ')[2]}"
            )

    def digest(self) -> str:
        return self._hash.hexdigest()


class Kernel:
    """The event heap. `now` in milliseconds since the world began."""

    def __init__(self, trace: Trace) -> None:
        self.now = 0
        self.trace = trace
        self.events = 0
        self._heap: list[tuple[int, int, Act]] = []
        self._count = 0

    def at(self, when: int, act: Act) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, act))

    def after(self, delay: int, act: Act) -> None:
        self.at(self.now + delay, act)

    def run_until(self, end: int) -> None:
        while self._heap and self._heap[0][0] <= end:
            self.now, _, act = heapq.heappop(self._heap)
            self.events += 1
            if self.events > EVENTS_MAX:
                raise Violation("I14-busy-loop", f"more than {EVENTS_MAX} events")
            with contextlib.suppress(Died):
                act()
        self.now = end

    def note(self, *words: object) -> None:
        self.trace.add(self.now, *words)


class Endpoint(Protocol):
    """What the network knows of a host: its name, whether it is up, and which life of it this is."""

    name: str
    up: bool
    life: int


Answer = Callable[[object], None]
Handler = Callable[[Answer], None]


class Network:
    """Calls between hosts: each is lost, late, doubled, cut off or answered in vain as the plan says."""

    def __init__(self, kernel: Kernel, plan: Plan) -> None:
        self.kernel = kernel
        self.plan = plan
        self.calm = False
        self.deaths = 0  # at a commit
        self.cut: dict[tuple[str, str], int] = {}  # (from, to): how many partitions forbid this direction
        self._dice = random.Random(f"network {plan.seed}")

    def isolate(self, pairs: list[tuple[str, str]], step: int) -> None:
        for pair in pairs:
            self.cut[pair] = self.cut.get(pair, 0) + step

    def open_between(self, a: str, b: str) -> bool:
        return not self.cut.get((a, b), 0)

    def chance(self, rate: float) -> bool:
        """A throw that costs nothing when the class is off: what is off must not move other throws."""
        return bool(rate) and not self.calm and self._dice.random() < rate

    def spoil(self, items: list[Item]) -> list[Item]:
        """What a bad line does: now and then one character of one item is another."""
        if not self.chance(self.plan.damage):
            return items
        spoilt = list(items)
        i = self._dice.randrange(len(items))
        field = self._dice.choice([name for name in ("e", "s", "r") if isinstance(getattr(items[i], name), str)])
        text = getattr(items[i], field)
        at = self._dice.randrange(len(text))
        letter = "A" if text[at] != "A" else "B"
        spoilt[i] = msgspec.structs.replace(items[i], **{field: text[:at] + letter + text[at + 1 :]})
        return spoilt

    def latency(self) -> int:
        mean = 40 if self.calm else self.plan.delay
        return 1 + min(round(self._dice.expovariate(1 / mean)), 10 * 60_000)

    def call(self, source: Endpoint, target: Endpoint, handler: Handler, done: Answer) -> None:
        """`handler` runs at the target and answers; `done` gets the answer, or None for silence and refusal."""
        life, open_ = source.life, [True]

        def finish(answer: object) -> None:
            if open_[0] and source.up and source.life == life:
                open_[0] = False
                done(answer)

        self.kernel.after(TIMEOUT_MS, lambda: finish(None))
        if not self.open_between(source.name, target.name) or self.chance(self.plan.drop):
            return
        copies = 2 if self.chance(self.plan.duplicate) else 1
        for copy in range(copies):
            late = self.latency() + copy * self._dice.randint(0, 120_000)
            self.kernel.after(late, lambda: self._arrive(source, target, handler, finish))
        if self.chance(self.plan.replay):
            self.kernel.after(
                self._dice.randint(60_000, 20 * 3_600_000), lambda: self._arrive(source, target, handler, finish)
            )

    def _arrive(self, source: Endpoint, target: Endpoint, handler: Handler, finish: Answer) -> None:
        if not self.open_between(source.name, target.name):
            return
        if not target.up:
            self.kernel.after(self.latency(), lambda: finish(None))
            return

        def reply(answer: object) -> None:
            if self.open_between(target.name, source.name) and not self.chance(self.plan.lost_answer):
                self.kernel.after(self.latency(), lambda: finish(answer))

        handler(reply)
