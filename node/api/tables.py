"""The tables behind the interface: applications, numbered news, webhooks. Raw SQL stands beside its use."""

import sqlite3
from typing import Final

from node.runtime import apps
from node.runtime.migrations import Migration, script

FEED: Final = script(
    "api_001_feed",
    """
-- News by number, without gaps, in the order of commits: written by triggers, so in the transaction of what changed,
-- whichever part of the program changed it. Pointers only: no code of a step, no member, no person. They begin with
-- the first application: until then there is nobody to tell, and the exchange pays nothing.
CREATE TABLE feed (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, leg TEXT) STRICT;

CREATE TRIGGER feed_step AFTER INSERT ON event WHEN EXISTS (SELECT 1 FROM app) BEGIN
  INSERT INTO feed (at, kind, leg)
  VALUES (new.at, CASE WHEN new.kind = 'offer' THEN 'case.new' ELSE 'case.step' END, new.leg);
END;
CREATE TRIGGER feed_delivery AFTER UPDATE OF k ON event
WHEN new.k IS NOT old.k AND EXISTS (SELECT 1 FROM app) BEGIN
  INSERT INTO feed (at, kind, leg) VALUES (MAX(new.at, COALESCE(new.st, 0)), 'case.delivery', new.leg);
END;
CREATE TRIGGER feed_erasure AFTER INSERT ON erased WHEN EXISTS (SELECT 1 FROM app) BEGIN
  INSERT INTO feed (at, kind, leg) VALUES (new.at, 'case.erased', new.leg);
END;
CREATE TRIGGER feed_alarm AFTER INSERT ON alarm WHEN EXISTS (SELECT 1 FROM app) BEGIN
  INSERT INTO feed (at, kind, leg) VALUES (new.at, 'alarm', new.leg);
END;
CREATE TRIGGER feed_publication AFTER UPDATE OF state ON publication_out
WHEN new.state = 'accepted' AND EXISTS (SELECT 1 FROM app) BEGIN
  INSERT INTO feed (at, kind, leg) VALUES (new.at, 'catalogue.published', NULL);
END;
CREATE TRIGGER feed_members AFTER INSERT ON members_document WHEN EXISTS (SELECT 1 FROM app) BEGIN
  INSERT INTO feed (at, kind, leg) VALUES (new.at, 'members', NULL);
END;
""",
)

WEBHOOKS: Final = script(
    "api_002_webhooks",
    """
-- Where an application wants to be told. `secret` is sealed; `sent` is the number of the last news it took.
CREATE TABLE webhook (
  id TEXT PRIMARY KEY, app TEXT NOT NULL, url TEXT NOT NULL, secret BLOB NOT NULL, kinds TEXT NOT NULL,
  added INTEGER NOT NULL, sent INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, failing_since INTEGER,
  next_at INTEGER NOT NULL DEFAULT 0, disabled INTEGER, why TEXT
) STRICT, WITHOUT ROWID;
""",
)

MIGRATIONS: Final[tuple[Migration, ...]] = (*apps.MIGRATIONS, FEED, WEBHOOKS)


def anybody(db: sqlite3.Connection) -> bool:
    """Whether some application wants to be told. Here, because an idle node asks it and loads nothing more."""
    return db.execute("SELECT 1 FROM webhook WHERE disabled IS NULL").fetchone() is not None
