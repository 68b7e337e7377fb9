"""Everything a body holds, in one file of open formats: to leave with, or to read with other programs. Not a copy.

An export is a ZIP of JSON texts, as docs/operare.md describes; with a secret it is the same ZIP inside a sealed file. A
copy brings an installation back (node.backups); an export never does, and holds no private key.
"""

import sqlite3
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from msgspec import Struct

from node.backups import facts
from node.cases import operators
from node.context import Context
from node.exchange import blobs
from node.requests import Export
from node.runtime import sealed_file
from node.runtime.backup_state import Backup
from node.runtime.backup_turn import secret_in
from node.runtime.platform import create_private
from node.runtime.sealed_file import Secret
from node.runtime.trust import raw_members, raw_roots
from node.vault import access
from protocol.errors import ProtocolError

APART: Final = frozenset(
    {"event", "blob_part", "case_key", "post", "_migrations", "inbox_quota", "trusted_root", "members_document"}
)
"""Tables that are not rows of an export: opened elsewhere, secret, other members', or derived."""
_DERIVED: Final = ("follow_", "map_", "sqlite_")
README: Final = """Esportazione di Raccordo: {name} ({node})

Tutto in UTF-8. *.json: un testo JSON. *.ndjson: una riga JSON per riga. Gli istanti sono secondi dal 1970 (UTC).
ente.json            chi è l'ente, quando e da chi è stata fatta l'esportazione, che cosa contiene
elenco.jws           l'ultimo elenco degli aderenti, come firmato; radici/N.json: le radici, come firmate
casi/CODICE.json     un invio: i passaggi dei due uffici, con il testo dove chi esporta può leggerlo, e le firme
documenti/CODICE/…   gli allegati interi di quell'invio, per impronta SHA-256; nome e tipo sono nel testo del passaggio
tabelle/NOME.ndjson  ogni altra tabella dell'archivio, una riga per riga: voci del catalogo, pubblicazioni firmate,
                     operatori, registro degli accessi, ricevute firmate, allarmi, cancellazioni; i byte in base64
Non ci sono chiavi private, né la posta che questo computer tiene per altri enti.
"""


class Exported(Struct, frozen=True, kw_only=True):
    """Where it is and what is in it; `unread`: referrals whose words who exported may not read."""

    path: str
    cases: int
    documents: int
    unread: int
    tables: dict[str, int]
    sealed: bool


def record(tx: sqlite3.Connection, ctx: Context, request: Export) -> None:
    """Who exports is in the access log before anything is written. Raises unknown-operator, role-forbidden."""
    operators.require(tx, request.as_, "export")
    access.record(tx, access.Access(ctx.clock.now(), request.as_, "export", "-", "-"))


def write(db: sqlite3.Connection, ctx: Context, request: Export) -> Exported:
    """Writes the file, new and 0600; on any fault nothing is left of it.

    Raises file-exists, disk-full, bad-passphrase, role-forbidden.
    """
    path = Path(request.path)
    secret = secret_in(Backup(request.path, request.passphrase, request.key)) if request.sealed else None
    try:
        if secret is None:
            with _new(path) as file:
                done = _zip(db, ctx, request, file)
        else:
            done = _sealed(db, ctx, request, path, secret)
    except FileExistsError:
        raise ProtocolError("file-exists", field=str(path)) from None
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ProtocolError("disk-full", field=str(path.parent)) from error
        raise
    return done


def _new(path: Path) -> IO[bytes]:
    import os

    return os.fdopen(create_private(path), "wb")


class _Sink:
    """A file for `zipfile` that cannot seek: what is written goes on into the sealed file."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put

    def write(self, data: Any) -> int:
        self._put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held here."""


def _sealed(db: sqlite3.Connection, ctx: Context, request: Export, path: Path, secret: Secret) -> Exported:
    header, key = sealed_file.new_header(
        secret, ctx.dice.bytes(32), facts(db), program="node", what="export", member=ctx.me, at=ctx.clock.now()
    )
    writer = sealed_file.Writer(path, header, key)
    try:
        done = _zip(db, ctx, request, _Sink(writer.write))
    except BaseException:
        writer.abandon()
        raise
    writer.close()
    return done


def unseal(path: Path, secret: Secret, out: Path) -> None:
    """The ZIP inside a sealed export. Raises wrong-file, bad-passphrase, backup-damaged, file-exists, file-missing."""
    try:
        with path.open("rb") as file:
            header, chunks = sealed_file.open_sealed(file, secret)
            if header.what != "export":
                raise ProtocolError("wrong-file", expected="an export")
            try:
                with _new(out) as plain:
                    plain.writelines(chunks)
            except FileExistsError:
                raise ProtocolError("file-exists", field=str(out)) from None
            except BaseException:
                out.unlink(missing_ok=True)
                raise
    except FileNotFoundError:
        raise ProtocolError("file-missing", field=str(path)) from None


# -- what is in it


def _zip(db: sqlite3.Connection, ctx: Context, request: Export, file: Any) -> Exported:
    operator = operators.require(db, request.as_, "export")
    rights = operators.RIGHTS[operator.role]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _put(archive, "LEGGIMI.txt", README.format(name=_name(ctx), node=ctx.me).encode())
        cases = unread = documents = 0
        for leg, raw, readable in _cases(db, ctx, rights):
            _put(archive, f"casi/{leg}.json", raw)
            cases, unread = cases + 1, unread + (not readable)
            documents += _documents(db, ctx, archive, leg) if readable else 0
        counts = {}
        for table in _tables(db):
            rows = list(_rows(db, table))
            counts[table] = len(rows)
            _put(archive, f"tabelle/{table}.ndjson", b"".join(row + b"\n" for row in rows))
        held = raw_members(db)
        if held is not None:
            _put(archive, "elenco.jws", held[1])
        for n, root in enumerate(raw_roots(db), 1):
            _put(archive, f"radici/{n}.json", root)
        done = Exported(
            path=request.path, cases=cases, documents=documents, unread=unread, tables=counts, sealed=request.sealed
        )
        _put(archive, "ente.json", _about(ctx, request, done))
    return done


def _name(ctx: Context) -> str:
    own = ctx.member(ctx.me) if ctx.joined else None
    return own.name if own else ctx.me


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    archive.writestr(info, content)


def _about(ctx: Context, request: Export, done: Exported) -> bytes:
    own = ctx.member(ctx.me) if ctx.joined else None
    keys = [{"use": k.use, "kid": k.kid, "state": k.state, "created": k.created} for k in ctx.keystore.entries()]
    about = {
        "v": 1, "node": ctx.me, "name": _name(ctx), "net": ctx.net, "at": ctx.clock.now(), "by": request.as_,
        "status": own.status if own else None, "since": own.since if own else None,
        "admission": own.entry.admission if own else None, "members_version": ctx.membership.version if own else None,
        "keys": keys, "cases": done.cases, "documents": done.documents, "unread": done.unread, "tables": done.tables,
    }  # fmt: skip
    return msgspec.json.encode(about)


def _tables(db: sqlite3.Connection) -> list[str]:
    names = [str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if name not in APART and not name.startswith(_DERIVED)]


def _rows(db: sqlite3.Connection, table: str) -> Iterator[bytes]:
    cursor = db.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name of our own schema
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield msgspec.json.encode(dict(zip(names, map(_open_form, row), strict=True)))


def _open_form(value: object) -> object:
    return b64encode(value).decode() if isinstance(value, bytes) else value


def _cases(db: sqlite3.Connection, ctx: Context, rights: frozenset[str]) -> Iterator[tuple[str, bytes, bool]]:
    """(code, text, whether its words are in it), in order of code."""
    limited = {case_id for (case_id,) in db.execute("SELECT case_id FROM limitation")}
    cursor = db.execute("SELECT * FROM leg ORDER BY leg")
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        leg = dict(zip(names, row, strict=True))
        may = "read" in rights and (leg["case_id"] not in limited or "read-limited" in rights)
        events = [_event(db, ctx, leg, one, may) for one in _events(db, str(leg["leg"]))]
        peer = ctx.member(str(leg["peer"])) if ctx.joined else None
        text = {**leg, "peer_name": peer.name if peer else None, "limited": leg["case_id"] in limited, "events": events}
        unread = any(one["erased"] is False and one["body"] is None for one in events)
        yield str(leg["leg"]), msgspec.json.encode(text), not unread


def _documents(db: sqlite3.Connection, ctx: Context, archive: zipfile.ZipFile, leg: str) -> int:
    """The files of a leg that are here whole; one part in memory at a time."""
    count = 0
    for blob in blobs.blobs_of(db, leg):
        if blob.state in ("early", "failed") or len(blobs.held(db, blob)) != blob.parts:
            continue
        info = zipfile.ZipInfo(f"documenti/{leg}/{blob.sha256}")
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        with archive.open(info, "w") as file:
            for part in blobs.parts(db, ctx, blob):
                file.write(part)
        count += 1
    return count


def _events(db: sqlite3.Connection, leg: str) -> list[dict[str, Any]]:
    cursor = db.execute("SELECT * FROM event WHERE leg = ? ORDER BY rowid", (leg,))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _event(
    db: sqlite3.Connection, ctx: Context, leg: dict[str, Any], event: dict[str, Any], may: bool
) -> dict[str, Any]:
    """The skeleton, and salt and body where they are there and may be read: with `e` they prove what was said."""
    sealed = event.pop("sealed")
    event |= {"erased": sealed is None, "salt": None, "body": None}
    if sealed is not None and may:
        key = ctx.case_keys.obtain(db, leg["case_id"])
        place = f"{event['leg']}|{event['writer']}|{event['n']}|{event['jti']}"
        plain = ctx.case_keys.open(key, place, sealed)
        event |= {"salt": b64encode(plain[:32]).decode(), "body": msgspec.Raw(plain[32:])}
    return event
