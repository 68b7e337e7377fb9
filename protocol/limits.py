"""Every number of PROTOCOL in one place, with its unit and reason. Only numbers; the checks are where they apply."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

# -- reading bytes (§2, §7)
JSON_MAX_DEPTH: Final = 16
"""Arrays and objects one inside another; a scalar alone has depth 0."""
JSON_MAX_INT: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 7493)."""
ROUTING_MAX: Final = 4 * KIB
"""Characters of `e`, the part a relay reads."""
SEALED_MAX: Final = 3 * MIB // 2
"""Characters of `s`; the largest bucket makes 1.4 million of them."""
HEADER_MAX: Final = 512
"""Characters of one protected header segment of a JWS; ours have about 150."""
SEAL_HEADER_MAX: Final = 1024
"""Characters of the protected header segment of a JWE; ours have at most 560."""
RECEIPT_MAX: Final = 16 * KIB
"""Characters of one receipt: 50 acknowledgements make about 10,000."""
TOKEN_MAX: Final = 4 * KIB
"""Characters of a request token."""
GENERAL_SIGNATURES_MAX: Final = 32
"""Signatures on one General JSON JWS (guarantors of a network)."""

# -- envelope (§2)
VERSION: Final = 1
SALT_BYTES: Final = 32
BUCKETS: Final = (2 * KIB, 8 * KIB, 32 * KIB, 128 * KIB, 512 * KIB, MIB)
"""Lengths a plaintext is padded to, so that a relay learns a size class and no more."""
BODY_MAX: Final = BUCKETS[-1] - SALT_BYTES
LIFETIME_MAX: Final = 30 * DAY
"""exp − iat of an envelope: the default and the most."""
CLOCK_AHEAD_MAX: Final = 300
"""Seconds an `iat` or `at` may lie ahead of our clock; also the tolerance of request tokens."""
CLOCK_WARN: Final = 120
"""Seconds off the median of the peers from which a node warns (§1)."""
CLOCK_STOP: Final = 300
"""Seconds off the median of the peers from which a node writes no new events (§1)."""

# -- delivery (§3)
BATCH_ITEMS: Final = 50
BATCH_BYTES: Final = 6 * MIB
POLL_WAIT: Final = 25
"""Seconds a mailbox holds a long poll."""
MAILBOX_ITEMS: Final = 2000
MAILBOX_BYTES: Final = 256 * MIB
PAIR_ITEMS: Final = 200
"""Items one sender may have waiting for one recipient at one relay."""
PAIR_BYTES: Final = 32 * MIB
PAIR_RESERVED: Final = 32
"""Of PAIR_ITEMS, those kept for what is no attachment part."""
RETRY_FIRST: Final = 5
"""Seconds: delay = U(0.5, 1) · min(cap, RETRY_FIRST · 2^k)."""
RETRY_CAP_FIRST_DAY: Final = 15 * MINUTE
RETRY_CAP: Final = HOUR
HELD_NEXT_RELAY: Final = 6 * HOUR
"""`held` without `stored` for this long: the next relay, and again daily."""
SEND_TIMEOUT: Final = 30
"""Seconds, plus size / SEND_RATE (plus `wait`)."""
SEND_RATE: Final = 16 * KIB
"""Bytes a second assumed on the slowest line."""
TOLD_AFTER: Final = DAY
"""Without `stored` after min(this, the urgency's target) people are told."""
HELLO_EVERY: Final = DAY
GAP_OLD: Final = DAY
"""A gap this old sends a `hello`."""

# -- attachments (§3)
BLOB_MAX: Final = 5 * MIB
EVENT_BLOBS_MAX: Final = 20 * MIB
PART_MAX: Final = 700 * KIB
"""Raw bytes of one part."""
PARTS_OUT_MAX: Final = 8
"""Parts per recipient out without `processed`."""
EVENT_FILES_MAX: Final = 20
"""Files one event names."""
EARLY_LEG_MAX: Final = PARTS_OUT_MAX
"""Parts of one referral kept while no event names them: a whole window may overtake its event."""
EARLY_PEER_MAX: Final = 2 * PARTS_OUT_MAX
"""The same for one sender, and"""
EARLY_NODE_MAX: Final = 12 * PARTS_OUT_MAX
"""for all of them: 66 MiB at most that no event accounts for."""
EARLY_KEPT: Final = 2 * DAY
"""A part no event has named for this long is dropped; the event asks for it again when it comes."""
MISSING_AFTER: Final = DAY
"""A file that stands still for this long asks for what it lacks, and again daily."""
BLOB_TRIES: Final = 3
"""Whole copies of a file with the wrong hash before people are told, and asks without an answer."""
RESENT_MAX: Final = 32
"""Times the parts of one file are sent again because somebody asks: its reader cannot keep our line busy for ever."""

# -- calls (§3)
TOKEN_LIFETIME: Final = 120
TOKEN_SKEW: Final = 300

# -- membership (§4)
MEMBERS_MAX: Final = 16 * MIB
MEMBERS_LIFETIME: Final = 7 * DAY
MEMBERS_RESIGN: Final = DAY
ROOT_MAX: Final = 512_000
ROOT_STEPS_MAX: Final = 256
ROOT_DEGRADED: Final = 180 * DAY
"""An expired root behaves as degraded for this long."""
DEGRADED: Final = 30 * DAY
"""A node that cannot refresh works on for this long after the members document expired."""
SUSPENSION_SEEN: Final = 60
"""Seconds within which online peers refuse a suspended member."""
SEALING_ROTATION: Final = 90 * DAY
SEALING_PUBLISHED_BEFORE: Final = 7 * DAY
SEALING_DESTROYED_AFTER: Final = 70 * DAY
SIGNING_ROTATION: Final = 365 * DAY

# -- catalogue, log (§5)
CATALOGUE_RECORDS: Final = 5000
RECORD_MAX: Final = 64 * KIB
OBJECT_KEPT: Final = 90 * DAY
"""A superseded object is dropped after this long."""

PROOF_MAX: Final = 2 * MEMBERS_MAX
"""Bytes of the proof of one map entry: the members document, and as much again for the end of the log."""
HEAD_SHOWN_EVERY: Final = DAY
"""Peers with open business show each other their head of the log this often (§5)."""

# -- referral (§6)
FORWARD_HOPS: Final = 3
LONG_WAIT: Final = 90
"""Days on a waiting list after which the receiver is reminded, where the root says no other number."""
