"""The tables of the board. Raw SQL stands beside its use in each module; triggers keep the log append-only.

Who can write to this file can hide entries and withhold posts, but can admit nobody (that takes a guarantor's
signature), change no member's key, and rewrite no leaf that a follower has seen: its next head would not be consistent.
"""

from typing import Final

from node.map.tables import map_migrations
from node.runtime.migrations import Migration, script

BOARD: Final = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- General JSON as signed; `hash` is the object hash of `raw`.
CREATE TABLE root (n INTEGER PRIMARY KEY, raw TEXT NOT NULL, hash TEXT NOT NULL, exp INTEGER NOT NULL) STRICT;

-- Every version ever signed; the bytes are objects and go after 90 days. `seq`: index of its leaf.
CREATE TABLE members_doc (
  version INTEGER PRIMARY KEY, hash TEXT NOT NULL, iat INTEGER NOT NULL, exp INTEGER NOT NULL, seq INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
  node TEXT PRIMARY KEY, status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'ended')),
  since INTEGER NOT NULL, joined INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- One row for each admission; `place` is how the node is listed: in force, the entry before it (same first key), or
-- the chain of an earlier membership. `seq` is the admission's own number.
CREATE TABLE admission (
  node TEXT NOT NULL, seq INTEGER NOT NULL, first TEXT NOT NULL, raw TEXT NOT NULL, payload_hash TEXT NOT NULL,
  place TEXT NOT NULL CHECK (place IN ('current', 'amended', 'former')), leaf INTEGER NOT NULL, PRIMARY KEY (node, seq)
) STRICT, WITHOUT ROWID;
-- The signing-key chain after the first key; `first` names the admission's chain it belongs to.
CREATE TABLE key_statement (
  node TEXT NOT NULL, first TEXT NOT NULL, n INTEGER NOT NULL, x TEXT NOT NULL, prev TEXT NOT NULL,
  reason TEXT NOT NULL, raw TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (node, first, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE routes (
  node TEXT NOT NULL, first TEXT NOT NULL, n INTEGER NOT NULL, since INTEGER NOT NULL, raw TEXT NOT NULL,
  PRIMARY KEY (node, first, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE protocollo (
  version TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, media TEXT NOT NULL, document BLOB NOT NULL, at INTEGER NOT NULL
) STRICT;

-- One-time codes by their hash. `node`: who it is for; `readmits` 1: that member may come back, with a new key.
CREATE TABLE invitation (
  code TEXT PRIMARY KEY, node TEXT, name TEXT NOT NULL, exp INTEGER NOT NULL, delegated_by TEXT,
  readmits INTEGER NOT NULL, ref TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE join_request (
  ref TEXT PRIMARY KEY, node TEXT NOT NULL, first TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'admitted', 'refused')), invited INTEGER NOT NULL,
  request TEXT NOT NULL, draft TEXT NOT NULL, decided INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX join_pending ON join_request (at) WHERE state = 'pending';

-- What each member has posted today (UTC), against its quota.
CREATE TABLE quota (
  node TEXT NOT NULL, what TEXT NOT NULL, day INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (node, what)
) STRICT, WITHOUT ROWID;
"""

LOG: Final = """
CREATE TABLE leaf (seq INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE tree (level INTEGER NOT NULL, i INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, i))
  STRICT, WITHOUT ROWID;
-- `kid`: the log key that signed; a later root may bring another.
CREATE TABLE head (size INTEGER PRIMARY KEY, note TEXT NOT NULL, at INTEGER NOT NULL, kid TEXT NOT NULL) STRICT;
CREATE TABLE edge (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, raw BLOB NOT NULL) STRICT;
INSERT INTO edge VALUES (1, 0, zeroblob(8));

CREATE TRIGGER leaf_kept BEFORE UPDATE ON leaf BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER leaf_stays BEFORE DELETE ON leaf BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER leaf_next BEFORE INSERT ON leaf
  WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq) + 1, 0) FROM leaf)
  BEGIN SELECT RAISE(ABORT, 'the log has no gaps'); END;
CREATE TRIGGER tree_kept BEFORE UPDATE ON tree BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER tree_stays BEFORE DELETE ON tree BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER head_kept BEFORE UPDATE ON head BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER head_stays BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER head_grows BEFORE INSERT ON head WHEN NEW.size <= (SELECT COALESCE(MAX(size), -1) FROM head)
  BEGIN SELECT RAISE(ABORT, 'a head never shrinks'); END;
CREATE TRIGGER edge_grows BEFORE UPDATE ON edge WHEN NEW.size <= OLD.size
  BEGIN SELECT RAISE(ABORT, 'the log never shrinks'); END;

-- `superseded`: since when nothing current names it. A dropped or withdrawn object is a row without bytes.
CREATE TABLE object (
  hash TEXT PRIMARY KEY, vis TEXT NOT NULL CHECK (vis IN ('public', 'network')), owner TEXT NOT NULL,
  kind TEXT NOT NULL, bytes BLOB, superseded INTEGER, withdrawn INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX object_superseded ON object (superseded) WHERE superseded IS NOT NULL AND bytes IS NOT NULL;
"""

CATALOGUE: Final = """
CREATE TABLE catalogue (
  node TEXT NOT NULL, vis TEXT NOT NULL, rev INTEGER NOT NULL, hash TEXT NOT NULL,
  exp INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (node, vis)
) STRICT, WITHOUT ROWID;
-- The records of the current snapshot of each chain.
CREATE TABLE record_use (
  node TEXT NOT NULL, vis TEXT NOT NULL, leaf TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (node, vis, leaf)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_use_leaf ON record_use (leaf);
-- Checked records of a snapshot that is not complete yet: a large catalogue comes in several posts. A day at most.
CREATE TABLE staged (
  node TEXT NOT NULL, vis TEXT NOT NULL, leaf TEXT NOT NULL, line TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (node, vis, leaf)
) STRICT, WITHOUT ROWID;
CREATE INDEX staged_at ON staged (at);
-- Who logged an id first: nobody else may ever use it.
CREATE TABLE record_owner (id TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


def registry_migrations() -> tuple[Migration, ...]:
    """The schema steps of a registry, the map included; mailboxes are added by whoever opens the store."""
    return (
        script("registry-001-board", BOARD),
        script("registry-002-log", LOG),
        script("registry-003-catalogue", CATALOGUE),
        *map_migrations(),
    )
