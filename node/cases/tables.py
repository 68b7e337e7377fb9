"""Tables of the cases that came after the first: kept apart from their use, which loads the map."""

from node.runtime.migrations import script

MIGRATIONS = (
    script(
        "cases_002_choices",
        """
-- Whom a person chose for a case to be routed. `sealed`: what was proposed and why another was chosen, under the case
-- key; `child`: the referral it became, NULL when it stays in this body.
CREATE TABLE routing_choice (
  leg TEXT NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, by_code TEXT NOT NULL, node TEXT NOT NULL,
  service TEXT NOT NULL, rank INTEGER NOT NULL, child TEXT, sealed BLOB NOT NULL, PRIMARY KEY (leg, n)
) WITHOUT ROWID;
""",
    ),
)
