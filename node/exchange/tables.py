"""The tables of the exchange. Raw SQL stands beside them in this package (DESIGN §3.4): the hot path."""

from node.runtime.migrations import script

MIGRATIONS = (
    script(
        "exchange_001_tables",
        """
-- One offer from sender S to receiver R; `side` is ours ('L': both logs are local, a hand-over between two desks).
-- state, s_count, r_count are the fold of `event`, kept here for lists. Times are Unix seconds.
CREATE TABLE leg (
  leg TEXT PRIMARY KEY, side TEXT NOT NULL CHECK (side IN ('S', 'R', 'L')), peer TEXT NOT NULL, case_id TEXT NOT NULL,
  state TEXT NOT NULL, s_count INTEGER NOT NULL, r_count INTEGER NOT NULL,
  referral TEXT NOT NULL, urgency TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL,
  stored_at INTEGER, ack_by INTEGER, respond_by INTEGER, alarm_at INTEGER,
  desk_from TEXT, desk_to TEXT, parent TEXT, linked_from TEXT
) WITHOUT ROWID;
CREATE INDEX leg_open ON leg (side, state);

-- Both logs of every leg: the skeleton in clear, salt and body under the case key, `e` as it travelled ('' when local).
-- For own events: the newest sealing and what the peer's signed acknowledgement said of it.
CREATE TABLE event (
  leg TEXT NOT NULL, writer TEXT NOT NULL, n INTEGER NOT NULL, jti TEXT NOT NULL, kind TEXT NOT NULL,
  seen INTEGER NOT NULL, reason TEXT, outcome TEXT, cm TEXT NOT NULL, voids TEXT, at INTEGER NOT NULL, by_code TEXT,
  e TEXT NOT NULL, sealed BLOB, mid TEXT, k TEXT, st INTEGER, h INTEGER, prob TEXT
);
CREATE UNIQUE INDEX event_place ON event (leg, writer, n, jti);

-- Sealings that have no signed end yet. A superseded one (sealed again) keeps its row without `s`: its receipt may
-- still come. `route` counts through the recipient's routes: direct addresses first, then relays.
CREATE TABLE outgoing (
  mid TEXT PRIMARY KEY, jti TEXT NOT NULL, leg TEXT, writer TEXT, n INTEGER, dest TEXT NOT NULL,
  e TEXT NOT NULL, s TEXT, kid TEXT NOT NULL, exp INTEGER NOT NULL, urgent INTEGER NOT NULL,
  next_at INTEGER, route INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, held_at INTEGER, stored INTEGER
);
CREATE INDEX outgoing_due ON outgoing (dest, urgent, next_at) WHERE s IS NOT NULL;
CREATE INDEX outgoing_superseded ON outgoing (jti) WHERE s IS NULL;

-- Every sealing that arrived, with its newest answer: de-duplication on mid and on (sender, jti).
CREATE TABLE inbox (
  mid TEXT PRIMARY KEY, sender TEXT NOT NULL, jti TEXT NOT NULL, cm TEXT NOT NULL, st INTEGER NOT NULL,
  k TEXT NOT NULL, h INTEGER, prob TEXT, receipt INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX inbox_event ON inbox (sender, jti);

-- Signed receipts, ours (own = 1) and theirs.
CREATE TABLE receipt (id INTEGER PRIMARY KEY, own INTEGER NOT NULL, peer TEXT NOT NULL, at INTEGER NOT NULL, raw TEXT NOT NULL);
-- Ours that have to travel by the sender's routes (they came through a mailbox elsewhere). Loss is repaired by the sender.
CREATE TABLE receipt_out (receipt INTEGER PRIMARY KEY REFERENCES receipt (id), dest TEXT NOT NULL, next_at INTEGER NOT NULL,
  route INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0);

-- One row a peer: our send counter, our pace towards it, the highest channel number held from it.
CREATE TABLE peer (
  node TEXT PRIMARY KEY, seq INTEGER NOT NULL DEFAULT 0, k INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER, heard_at INTEGER, hw_epoch INTEGER NOT NULL DEFAULT 0, hw_seq INTEGER NOT NULL DEFAULT 0,
  head_shown INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- What people have to be told; content-free.
CREATE TABLE alarm (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, code TEXT NOT NULL, node TEXT, leg TEXT, n INTEGER,
  cleared INTEGER, UNIQUE (code, node, leg, n));

CREATE TABLE peer_head (node TEXT PRIMARY KEY, note TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    ),
    script(
        "exchange_002_children",
        """
-- Children of a referral that was forwarded (PROTOCOL §6). Partial: a store that forwards nothing pays nothing.
CREATE INDEX leg_child ON leg (parent) WHERE parent IS NOT NULL AND side = 'S';
""",
    ),
)
