"""The tables of the own catalogue. Raw SQL stands beside its use in this package."""

from typing import Final

from node.runtime.migrations import Migration, script

MIGRATIONS: Final[tuple[Migration, ...]] = (
    script(
        "catalogue-001-tables",
        """
-- One service of ours. `public` and `network` are its records as imported, RFC 8785 lines without what is ours to add
-- (confirmation, notice, salt); at least one of them is there. `source`: how the next sheet finds it again.
CREATE TABLE catalogue_entry (
  id TEXT PRIMARY KEY, source TEXT NOT NULL UNIQUE, name TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,
  public TEXT, network TEXT, salt TEXT,
  confirmed TEXT, notice TEXT, notice_since TEXT, notice_until TEXT,
  added INTEGER NOT NULL, changed INTEGER NOT NULL, withdrawn INTEGER
) STRICT, WITHOUT ROWID;

-- Every import that was carried out, and what became of each row of its sheet.
CREATE TABLE catalogue_import (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, file TEXT NOT NULL, operator TEXT
) STRICT;
CREATE TABLE catalogue_row (
  import INTEGER NOT NULL REFERENCES catalogue_import (id), line INTEGER NOT NULL, outcome TEXT NOT NULL,
  entry TEXT, remarks TEXT NOT NULL, PRIMARY KEY (import, line)
) STRICT, WITHOUT ROWID;

-- Signed publications, contiguous in each chain. `ids` and `manifest` are parallel JSON arrays in order of id.
-- state: waiting (to be posted, in order), accepted, refused (kept for people until the next one takes its number).
CREATE TABLE publication_out (
  vis TEXT NOT NULL, rev INTEGER NOT NULL, publication TEXT NOT NULL, digest TEXT NOT NULL,
  ids TEXT NOT NULL, manifest TEXT NOT NULL, at INTEGER NOT NULL, exp INTEGER NOT NULL,
  state TEXT NOT NULL, seq INTEGER, code TEXT, field TEXT, PRIMARY KEY (vis, rev)
) STRICT, WITHOUT ROWID;
-- Record lines that a waiting publication names, by leaf hash: what is posted is what was signed.
CREATE TABLE publication_line (leaf TEXT PRIMARY KEY, line TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One row for each referral received about an entry of ours, when a person opened it.
CREATE TABLE catalogue_use (leg TEXT PRIMARY KEY, entry TEXT NOT NULL) STRICT, WITHOUT ROWID;
""",
    ),
)
