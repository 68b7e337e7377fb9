"""A member's own catalogue: entries as imported, confirmations and notices, signed publications. Not the map."""
