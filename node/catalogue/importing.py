"""A sheet into own entries: plan, then keep what was planned. The reading of sheets is node.importer.

Ids are remembered for ever, also of entries taken back: the same service in a later sheet has the same id. Nothing
missing from a sheet is taken back unless that was asked for.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final

import msgspec
from msgspec import Raw, Struct

from node import requests as ask
from node.catalogue.entries import Row, Touched, organization_id, rows, withdraw
from node.context import Context, setting
from node.importer.build import BodyProfile
from node.importer.plan import ImportPlan, KnownEntry, RowOutcome, plan_import
from node.importer.preview import preview
from node.importer.reading import Sheet, read_sheet
from node.map.hours import local
from protocol.publications import record_line
from protocol.strict import b64u_encode
from protocol.territory import Territory, fold_name
from schemas.membership import Wanted
from schemas.records import Service

WANTED: Final = "wanted"  # where node.enrolment keeps what we asked to be admitted as

# The first word that tells what kind of body it is, when only the sheet is there to say it. Shown in the preview.
KINDS: Final[Mapping[str, str]] = {
    "comune": "PT-COMUNE", "distretto": "PT-DISTRETTO", "patronato": "PT-PATRONATO", "sindacato": "PT-SINDACATO",
    "cooperativa": "PT-COOP", "caf": "PT-CAF", "odv": "PT-ODV", "aps": "PT-APS",
}  # fmt: skip
OTHER: Final = "PT-ETS"


class Profile(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who the sheet is of, and what says so: admission, request, options or the sheet itself."""

    node: str
    name: str
    ptype: str
    said_by: str
    comune: str | None = None


class Imported(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An import, or its preview. `preview`: what node.importer.preview shows, row by row; counts are of entries."""

    applied: bool
    file: str
    body: Profile
    preview: Raw
    fresh: int = 0
    changed: int = 0
    same: int = 0
    missing: list[str] = []
    withdrawn: list[str] = []


# -- who


def profile_of(db: sqlite3.Connection, ctx: Context, sheet: Sheet) -> Profile:
    """From the admission, else from what we asked to be admitted as, else from the sheet."""
    wanted: Wanted | None = ctx.membership.member(ctx.me).admission if ctx.joined else None
    said_by = "admission"
    if wanted is None and (held := setting(db, WANTED, "")):
        wanted, said_by = msgspec.json.decode(held, type=Wanted), "request"
    if wanted is None:
        return profile_from_sheet(sheet, ctx.territory, ctx.me)
    comune = wanted.territory[0] if wanted.territory else None
    return Profile(node=ctx.me, name=wanted.name, ptype=wanted.ptype, said_by=said_by, comune=comune)


def profile_from_sheet(sheet: Sheet, territory: Territory, node: str | None = None) -> Profile:
    """The body that most rows name; its kind by the first telling word, its comune when its name holds one."""
    from node.importer.columns import find_header

    found = find_header(sheet.lines)
    at = next((column.at for column in found[1] if column.field == "body"), None) if found else None
    below = sheet.lines[found[0] + 1 :] if found else []
    names = Counter(line.cells[at].strip() for line in below if at is not None and at < len(line.cells))
    names.pop("", None)
    name = names.most_common(1)[0][0] if names else ""
    folded = fold_name(name).split()
    ptype = next((KINDS[word] for word in folded if word in KINDS), OTHER)
    match = territory.resolve(name) if ptype == "PT-COMUNE" else None
    slug = "-".join(folded)[:63].strip("-") or "ente"
    return Profile(
        node=node or slug, name=name or "Ente", ptype=ptype, said_by="sheet", comune=match.istat if match else None
    )


def _body(profile: Profile, net: str) -> BodyProfile:
    return BodyProfile(
        member=profile.node,
        name=profile.name,
        participant_type=profile.ptype,
        organization_id=organization_id(net, profile.node),
        comune=profile.comune,
    )


# -- preview without a node


def preview_alone(
    content: bytes, name: str, territory: Territory, today: date, new_id: Callable[[], str], profile: Profile | None
) -> Imported:
    """The sheet alone: no store, no keys, no network. Raises import-…"""
    sheet = read_sheet(content)
    who = profile or profile_from_sheet(sheet, territory)
    plan = plan_import(sheet, _body(who, ""), [], territory, today, new_id)
    return Imported(applied=False, file=name, body=who, preview=_shown(plan))


def _shown(plan: ImportPlan) -> Raw:
    return Raw(msgspec.json.encode(preview(plan)))


# -- import


def run(tx: sqlite3.Connection, ctx: Context, request: ask.Import) -> Imported:
    """Plans, and unless it is a preview keeps, in one transaction. Raises import-…"""
    sheet = read_sheet(request.content)
    now = ctx.clock.now()
    profile = profile_of(tx, ctx, sheet)
    plan = _plan(tx, ctx, sheet, profile, local(now).date(), request.accept)
    missing = _missing(tx, plan, request.name)
    shown = Imported(
        applied=False, file=request.name, body=profile, preview=_shown(plan), missing=[row.name for row in missing]
    )
    if request.preview:
        return shown
    changes = Counter(_keep(tx, ctx, row, request.name, now) for row in plan.rows if row.record)
    gone = withdraw(tx, missing, now) if request.withdraw_missing else Touched([], [])
    _note(tx, plan.rows, request, now)
    return msgspec.structs.replace(
        shown,
        applied=True,
        fresh=changes["fresh"],
        changed=changes["changed"],
        same=changes["same"],
        withdrawn=gone.names,
    )


def _plan(
    db: sqlite3.Connection, ctx: Context, sheet: Sheet, profile: Profile, today: date, accept: Iterable[int]
) -> ImportPlan:
    known = [KnownEntry(*row) for row in db.execute("SELECT id, source, name FROM catalogue_entry ORDER BY id")]

    def plan(accepted: Mapping[str, str]) -> ImportPlan:
        return plan_import(
            sheet, _body(profile, ctx.net), known, ctx.territory, today, ctx.dice.uuid4, accepted=accepted
        )

    first = plan({})
    wanted = frozenset(accept)
    accepted = {
        row.key: suggestion.ref
        for row in first.rows
        if row.line in wanted
        for suggestion in row.suggestions
        if suggestion.kind == "same-entry"
    }
    return plan(accepted) if accepted else first


def _missing(db: sqlite3.Connection, plan: ImportPlan, file: str) -> list[Row]:
    """Entries no row matched: those of the same file when it was imported before, else of every file."""
    held = list(rows(db))
    before = [row for row in held if row.file == file]
    seen = {row.record.id for row in plan.rows if row.record}
    return [row for row in before or held if row.id not in seen]


def _keep(tx: sqlite3.Connection, ctx: Context, row: RowOutcome, file: str, now: int) -> str:
    """One entry: fresh, changed or same. What is ours to add (confirmation, notice) stays."""
    record: Service | None = row.record
    assert record is not None
    line = record_line(record)
    public, network = (line, None) if row.visibility == "public" else (None, line)
    held = tx.execute(
        "SELECT public, network, salt, withdrawn FROM catalogue_entry WHERE id = ?", (record.id,)
    ).fetchone()
    if held is not None and held[:2] == (public, network) and held[3] is None:
        tx.execute("UPDATE catalogue_entry SET file = ?, line = ? WHERE id = ?", (file, row.line, record.id))
        return "same"
    salt = b64u_encode(ctx.dice.bytes(32)) if network is not None else None
    tx.execute(
        "INSERT INTO catalogue_entry (id, source, name, file, line, public, network, salt, added, changed)"
        " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?9) ON CONFLICT (id) DO UPDATE SET source = ?2, name = ?3, file = ?4,"
        " line = ?5, public = ?6, network = ?7, salt = ?8, changed = ?9, withdrawn = NULL",
        (record.id, row.key, record.name, file, row.line, public, network, salt, now),
    )
    return "fresh" if held is None else "changed"


def _note(tx: sqlite3.Connection, outcomes: Iterable[RowOutcome], request: ask.Import, now: int) -> None:
    """What became of each row, kept."""
    number = tx.execute(
        "INSERT INTO catalogue_import (at, file, operator) VALUES (?,?,?)", (now, request.name, request.as_)
    ).lastrowid
    tx.executemany(
        "INSERT INTO catalogue_row (import, line, outcome, entry, remarks) VALUES (?,?,?,?,?)",
        [
            (number, row.line, row.outcome, row.record.id if row.record else None,
             msgspec.json.encode([problem.code for problem in row.problems]).decode())
            for row in outcomes
        ],
    )  # fmt: skip
