"""The registry's interface for administering: one row an address, over the table of commands. What a key has to sign
is signed elsewhere and only carried here: no guarantor's key ever comes near, and the root's ceremony is not offered.
"""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from node.runtime import apps
from node.runtime.api import Api, Asked, Door, Endpoint, Shape
from node.runtime.openapi import About, Json, Said, document, text
from node.runtime.routes import KIB, Route
from registry.admin_asking import PREFIX, SCOPES
from registry.admin_tables import write_down
from registry.commands import TABLE

if TYPE_CHECKING:
    from registry.service import Service

FILES_MAX: Final = 4 * 1024 * KIB
DOCUMENT_MAX: Final = 32 * 1024 * KIB


def _row(method: str, path: str, command: str, scope: str | None, it: str, en: str, **more: object) -> Endpoint:
    return Endpoint(method, PREFIX + path, command, scope, it, en, **more)  # type: ignore[arg-type]  # fields of the row


ROWS: Final[tuple[Endpoint, ...]] = (
    _row("GET", "/status", "status", "board:read", "La bacheca in una schermata", "The board at a glance"),
    _row("GET", "/members", "members", "board:read", "Gli enti, con il loro stato", "The members, with their state"),
    _row("GET", "/statements", "statements", "board:read", "Le dichiarazioni in vigore di ogni ente", "The statements in force of each member"),
    _row("GET", "/quotas", "quotas", "board:read", "Quanto ogni ente ha mandato oggi", "What each member sent today"),
    _row("GET", "/log", "log", "board:read", "Il registro pubblico: quante voci, l'ultimo sigillo", "The public log: its size and newest signed head"),
    _row("GET", "/roots", "root-show", "board:read", "Le radici, come firmate", "The roots, as signed"),
    _row("GET", "/map", "map", "board:read", "La mappa, riga per riga", "The map, line by line"),
    _row("GET", "/requests", "pending", "board:read", "Le richieste di adesione in attesa", "The requests to join that wait"),
    _row("POST", "/requests/export", "export", "board:read", "Il file da portare ai garanti", "The file to take to the guarantors"),
    _row("POST", "/requests/refusals", "refuse", "members:write", "Respinge delle richieste", "Turns requests down", effect=True),
    _row("POST", "/admissions", "admit", "members:write", "Ammette, con i file firmati dai garanti", "Admits, with the files guarantors signed", effect=True, max_body=FILES_MAX),
    _row("POST", "/invitations", "invite", "members:write", "Fa un invito", "Makes an invitation", effect=True),
    _row("POST", "/delegations", "delegate", "members:write", "Inviti per enti rappresentati da un altro", "Invitations for bodies another one signed for", effect=True),
    _row("POST", "/members/{node}/readmissions", "readmit", "members:write", "Invita un ente sospeso o uscito a rientrare", "Invites a suspended or ended member back", effect=True),
    _row("POST", "/members/{node}/amendments", "amend", "members:write", "Bozza di un cambiamento, da far firmare ai garanti", "Drafts a change for guarantors to sign", effect=True),
    _row("PUT", "/members/{node}/suspension", "suspend", "members:write", "Sospende un ente", "Suspends a member", effect=True),
    _row("PUT", "/members/{node}/end", "end", "members:write", "Fa uscire un ente dalla rete", "Ends a membership", effect=True),
    _row("GET", "/protocols", "protocols", "board:read", "Le versioni del protocollo d'intesa", "The versions of the protocollo d'intesa"),
    _row("GET", "/protocols/{version}", "protocol-get", "board:read", "Una versione, con il documento", "One version, with its document"),
    _row("POST", "/protocols", "protocol-add", "board:write", "Aggiunge una versione", "Adds a version", effect=True, max_body=DOCUMENT_MAX),
    _row("POST", "/objects/withdrawals", "withdraw", "board:write", "Toglie oggetti pubblicati che nessuno usa più", "Drops published objects nothing names any more", effect=True),
    _row("GET", "/calls", "calls", "audit:read", "Che cosa hanno cambiato le applicazioni", "What applications changed"),
    _row("GET", "/application", "application", None, "Che cosa può fare questo token", "What this token may do"),
)  # fmt: skip


def shapes(row: Endpoint) -> Shape:
    """What the command of a row asks, and what the function behind it says it gives."""
    command = TABLE[row.command]
    return Shape(command.request, command.run.__annotations__["return"])


class AdminApi:
    """One for a running registry."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._board = service.engine.board

    def routes(self, door: Door) -> list[Route]:
        """For a listener with these names."""
        return Api(ROWS, shapes, self._run, self._authenticate, self._locker, self._board.clock.now, described).routes(
            door, PREFIX
        )

    def _locker(self) -> apps.Locker:
        return apps.Locker(self._board.keystore.vault_key(), self._board.dice.bytes)

    async def _authenticate(self, token: str) -> apps.Caller:
        now = self._board.clock.now()
        return await self._service.read(lambda db: apps.authenticate(db, token, now))

    async def _run(self, asked: Asked) -> bytes:
        command, once, engine = TABLE[asked.row.command], asked.once, self._service.engine

        def run(db: sqlite3.Connection) -> bytes:
            return msgspec.json.encode(command.run(db, engine, asked.request))

        if once is None:
            return await (self._service.write(run) if command.writes else self._service.read(run))

        def effect(tx: sqlite3.Connection) -> bytes:
            held = once.before(tx)
            if held is not None:
                return held
            answer = run(tx)
            node = str(getattr(asked.request, "node", None) or "")
            write_down(tx, self._board.clock.now(), asked.caller.id, asked.row.command, node)
            once.keep(tx, answer)
            return answer

        return await self._service.write(effect)


# -- the document

TEXT: Final = (
    "Le operazioni di chi gestisce la bacheca d'Ambito, per altri programmi dell'ente capofila. Le firme dei garanti si"
    " fanno fuori di qui, sui loro computer: questa interfaccia porta solo i file già firmati.\n\n"
    "What whoever runs the board does, for other programs of the lead body. Guarantors sign elsewhere, on their own"
    " computers: this interface only carries the files they signed."
)
ASKED: Final[Mapping[str, Said]] = {
    "post-requests-export": Said({"refs": []}),
    "post-requests-refusals": Said({"refs": ["a1b2c3d4"]}),
    "post-admissions": Said({"files": ["{…}"]}),
    "post-invitations": Said(
        {"node": "comune-tavullia", "name": "Comune di Tavullia"},
        {"node": "comune-tavullia", "name": "Municipality of Tavullia"},
    ),
    "post-delegations": Said({"by": "comune-pesaro", "nodes": ["ass-prova"]}),
    "post-members-node-amendments": Said({"name": "Comune di Vallefoglia"}, {"name": "Municipality of Vallefoglia"}),
    "post-protocols": Said({"version": "2", "media": "text/plain", "document": "UHJvdG9jb2xsbyBkJ2ludGVzYQ=="}),
    "post-objects-withdrawals": Said({"refs": ["R5etCXvJbPYeVodENUx4vPPXatA-UAHWQnjrszAsUuQ"]}),
}
ANSWERED: Final[Mapping[str, Said]] = {
    "get-log": Said({"size": 3, "note": "bacheca.example/registro\n3\n…\n\n— bacheca.example/registro …\n"}),
    "get-application": Said({"id": "gestionale", "scopes": ["board:read"], "expires": 1_795_259_400}),
    "get-calls": Said([{"at": 1_795_259_400, "app": "gestionale", "command": "suspend", "node": "comune-tavullia"}]),
}


def registry_document() -> dict[str, Json]:
    """The same for the same rows."""
    about = About(
        title="Raccordo – bacheca d'Ambito", version="1", text=TEXT, server=PREFIX, scopes=SCOPES, asked=ASKED,
        answered=ANSWERED,
    )  # fmt: skip
    return document(about, ROWS, shapes)


def described() -> bytes:
    """The document, as committed."""
    return text(registry_document()).encode()
