"""What a seed means: the size of the world and the faults it has. Nothing happens here.

Every number of a run comes from its seed; `narrow` takes fault classes or work away, for shrinking a failure.
"""

import random
from collections.abc import Collection
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000
REAL_SUITE_EVERY: Final = 8

FAULTS: Final[tuple[str, ...]] = (
    "drop",  # a request is lost
    "duplicate",  # a request is delivered twice, the second time later
    "delay",  # exponential delays, so that requests overtake one another
    "lost-answer",  # the server committed, the caller never hears
    "partition",  # one host, two halves, or one direction only
    "crash",  # a process dies with what it had in memory
    "crash-commit",  # … just before or just after a commit
    "clock-small",  # within the tolerance of 300 s
    "clock-wrong",  # far beyond it
    "registry-down",  # for hours
    "relay-full",  # mailboxes of a few items
    "expiry",  # sealings that live for hours and hosts switched off for longer
    "rotation",  # sealing keys change, old ones are destroyed
    "suspension",  # a member is suspended in mid-work
    "damage",  # bits flip on the way
    "replay",  # old requests come again, much later
    "forgery",  # receipts that nobody signed
    "defect",  # a reader that refuses some events for ever
    "mimic",  # a member that uses other members' event ids
    "erasure",  # people erase, recall and answer such requests, at any moment
    "restore",  # a store is put back from an old copy, announced or not
    "compromise",  # a member revokes its keys
    "recovery",  # a member loses its keys and comes back by its emergency key
    "readmission",  # a member is suspended, and comes back under another key
    "relay-drops",  # a relay says `held` and loses envelopes and receipts for ever
    "relay-flips",  # a relay hands out other bytes than it was given
    "fork",  # the board shows two logs to two halves of its members
    "hostile",  # a member that seals and signs whatever may do harm
    "version",  # some bodies run version 0.1.0
    "forwarding",  # routers pass referrals on
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One world. Rates are probabilities per request or per commit; times in milliseconds of virtual time."""

    seed: int
    real: bool
    nodes: int
    direct: int
    referrals: int
    acts: int
    span: int
    grouped: bool
    faults: tuple[str, ...]
    drop: float = 0.0
    duplicate: float = 0.0
    delay: int = 40
    lost_answer: float = 0.0
    crash_commit: float = 0.0
    damage: float = 0.0
    replay: float = 0.0
    forgery: float = 0.0

    def has(self, fault: str) -> bool:
        """Is this fault class on?"""
        return fault in self.faults


def draw(seed: int, *, without: Collection[str] = (), referrals: int | None = None, acts: int | None = None) -> Plan:
    """The plan of a seed. What is taken away does not change the draws of what stays."""
    dice = random.Random(f"plan {seed}")
    nodes = dice.randint(3, 8)
    size = round(20 * 10 ** dice.random())
    per_referral = dice.uniform(1.5, 4.5)
    span = dice.choice((24, 24, 24, 30, 36, 48)) * HOUR_MS
    grouped = dice.random() < 0.5
    direct = dice.choice((1, 1, 2, max(1, nodes // 2)))
    drawn = [(fault, dice.random() < 0.5, dice.random()) for fault in FAULTS]
    on = {fault: share for fault, chosen, share in drawn if chosen and fault not in without}
    referrals = size if referrals is None else min(size, referrals)
    return Plan(
        seed=seed,
        real=seed % REAL_SUITE_EVERY == 0,
        nodes=nodes,
        direct=direct,
        referrals=referrals,
        acts=round(referrals * per_referral) if acts is None else min(acts, round(referrals * per_referral)),
        span=span,
        grouped=grouped,
        faults=tuple(on),
        drop=0.3 * on.get("drop", 0.0),
        duplicate=0.5 * on.get("duplicate", 0.0),
        delay=round(40 + 20_000 * on["delay"] ** 3) if "delay" in on else 40,
        lost_answer=0.2 * on.get("lost-answer", 0.0),
        crash_commit=0.02 * on["crash-commit"] if "crash-commit" in on else 0.0,
        damage=0.05 * on.get("damage", 0.0),
        replay=0.05 * on.get("replay", 0.0),
        forgery=0.05 * on.get("forgery", 0.0),
    )
