"""The tables of keys: what we stated of our own, and which new keys of others people confirmed."""

from typing import Final

from node.runtime.migrations import script

MIGRATIONS: Final = (
    script(
        "keys_001_tables",
        """
-- What we state of our keys and routes: signed once, posted byte for byte until the members document shows it.
-- kind: rotation, compromise, recovery. base: our entry it was made against. state: waiting, landed, refused, dropped.
CREATE TABLE own_statement (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, base TEXT NOT NULL, texts TEXT NOT NULL,
  state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL, code TEXT, ended INTEGER
);
CREATE INDEX own_statement_waiting ON own_statement (id) WHERE state = 'waiting';

-- Keys of other members with which a chain begins anew (recovery, re-admission), and who confirmed them by telephone.
CREATE TABLE peer_key (
  node TEXT NOT NULL, kid TEXT NOT NULL, how TEXT NOT NULL, since INTEGER NOT NULL, seen INTEGER NOT NULL,
  confirmed INTEGER, operator TEXT, PRIMARY KEY (node, kid)
) WITHOUT ROWID;
""",
    ),
)
