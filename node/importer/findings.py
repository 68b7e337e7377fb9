"""What a person should look at in a plan: duplicate desks, two services in one row, a patronato that is not free. Pure.

Also used by the map over records of several members: it only ever suggests, it never merges.
"""

from typing import Literal, NamedTuple

from node.importer.plan import ImportPlan
from node.importer.suspicions import cost_conflict, owner_provider


class Finding(NamedTuple):
    """`audience`: who has to know it; `ids` the records it is about."""

    kind: Literal["duplicate-desk", "mixed-service", "cost-conflict", "owner-provider"]
    audience: Literal["owner", "capofila"]
    ids: tuple[str, ...]
    text: str


def findings(plan: ImportPlan) -> list[Finding]:
    """All findings of a plan, in row order."""
    found: list[Finding] = []
    by_line = {row.line: row.record for row in plan.rows}
    for row in plan.rows:
        if not row.record:
            continue
        for suggestion in row.suggestions:
            twin = by_line.get(int(suggestion.ref)) if suggestion.kind == "duplicate" else None
            if twin:
                found.append(Finding("duplicate-desk", "owner", (twin.id, row.record.id), suggestion.text))
            if suggestion.kind == "split":
                found.append(Finding("mixed-service", "owner", (row.record.id,), suggestion.text))
        if cost_conflict(row.record):
            text = "Un patronato indica costi per i non iscritti: è gratuito per legge (L. 152/2001)."
            found.append(Finding("cost-conflict", "capofila", (row.record.id,), text))
        if owner_provider(row.record):
            text = f"Titolare {row.record.owner}, gestore {row.record.provider}: proporre il collegamento."
            found.append(Finding("owner-provider", "owner", (row.record.id,), text))
    return found
