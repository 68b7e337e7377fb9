"""verify, heads: what the command line says of proofs. Shows, decides nothing; the rules are in protocol."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct

from node import requests as ask
from node.cli_cases import clock
from node.cli_kit import InFile, ItalianCommand, OneOf, OutFile, Session, expecting, pass_session
from node.runtime import terminal
from node.runtime.wording import what_happened
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from protocol.proofs import Proved

_FILE_MAX: Final = 64 * 1024 * 1024
_ID_LENGTH: Final = 36


@click.command(
    "verify", cls=ItalianCommand, short_help="Verifica chi ha firmato una voce della mappa, anche senza rete."
)
@click.argument("file", metavar="[FILE]", required=False, type=InFile())
@click.option("--service", metavar="VOCE", help="La voce della mappa; con FILE, quella di cui dev'essere la prova.")
@click.option("--node", metavar="ENTE", help="Ente che la pubblica (nome tecnico).")
@click.option("--net", metavar="RETE", help="Identificativo della rete, come sta nel protocollo d'intesa.")
@click.option("--vis", type=OneOf("public", "network"), help="Parte pubblica o parte di rete della voce.")
@click.option("--board", is_flag=True, help="Con --service: la prova fatta dalla bacheca invece che da questa copia.")
@click.option("--out", type=OutFile(), help="Con --service: conserva la prova in un file, da dare ad altri.")
@pass_session
def verify(
    session: Session, file: Path | None, service: str | None, node: str | None, net: str | None, vis: str | None,
    board: bool, out: Path | None,
) -> None:  # fmt: skip
    """Verifica una prova ricevuta (FILE), o fa e verifica quella di una voce (--service). Esce con 1 se non regge.

    Per FILE non serve né la rete né il programma in funzione: basta l'identificativo della rete, che è stampato nel
    protocollo d'intesa (--net); senza --net vale quello della rete di questo computer.
    """
    if file is not None and (board or out or vis):
        raise click.UsageError("--board, --out e --vis valgono con --service, senza FILE.")
    if file is None and service is None:
        raise click.UsageError("Serve il file di una prova, o --service con il codice di una voce.")
    wanted = service.strip().lower() if service else ""
    from protocol.proofs import verify_proof
    from protocol.suite import S1

    def check(raw: bytes) -> "Proved":
        whole = wanted if len(wanted) == _ID_LENGTH else None
        return verify_proof(raw, net=net or _own_net(session), suite=S1, node=node, id_=whole)

    if file is None:
        asked = ask.Prove(id=wanted, node=node, vis=vis)  # type: ignore[arg-type]  # OneOf checked
        raw = session.call("fetch-proof" if board else "proof", asked)
        proved = check(raw)
    else:
        with expecting("la prova di una voce", file):
            raw = _read(file)
            proved = check(raw)
    if not proved.service.id.startswith(wanted):
        raise ProtocolError("wrong-entry", field="id")
    if out is not None:
        out.write_bytes(raw)
    _show(session, proved)


def _read(file: Path) -> bytes:
    if file.stat().st_size > _FILE_MAX:
        raise ProtocolError("too-large", field=file.name)
    return file.read_bytes()


def _own_net(session: Session) -> str:
    """From the store as it lies, whoever has it open: nothing else is read, so no lock is taken."""
    from node.engine import store_path
    from node.runtime.store import open_reader

    db = store_path(session.data_dir)
    if not db.exists():
        raise click.UsageError("Serve --net: in questa cartella non c'è un'installazione che conosca la rete.")
    reader = open_reader(db)
    try:
        row = reader.execute("SELECT value FROM setting WHERE name = 'net'").fetchone()
    finally:
        reader.close()
    if row is None:
        raise click.UsageError("Serve --net: questo ente non è ancora in una rete.")
    return str(row[0])


def _show(session: Session, proved: "Proved") -> None:
    from node.runtime.clock import SystemClock

    fresh = proved.fresh(SystemClock().now())
    if session.json:
        terminal.show_json(_plain(proved, fresh))
    else:
        terminal.show(terminal.narrow("\n".join(_lines(proved, fresh))))


def _plain(proved: "Proved", fresh: bool) -> dict[str, object]:
    member, publication = proved.member, proved.publication
    return {
        "ok": True,
        "id": proved.service.id,
        "name": proved.service.name,
        "node": member.node,
        "member": member.name,
        "ptype": member.ptype,
        "vis": publication.vis,
        "rev": publication.rev,
        "at": publication.at,
        "exp": publication.exp,
        "key": {"kid": proved.key.kid, "n": proved.key.n, "how": proved.key.how, "since": proved.key.since},
        "admitted_by": list(proved.admitted_by),
        "admission": {"seq": member.admission.seq, "at": member.admission.iat},
        "net": proved.root.net,
        "network": proved.root.root.name,
        "pilot": proved.root.pilot,
        "root": proved.root.root.n,
        "members": {"version": proved.members_version, "from": proved.members_from, "until": proved.members_until},
        "log": {"seq": proved.seq, "size": proved.size},
        "fresh": fresh,
    }


_HOW: Final = {
    "first": "la chiave con cui è stato ammesso",
    "rotation": "una chiave cambiata alla scadenza",
    "compromise": "una chiave cambiata perché quella prima non era più sicura",
    "recovery": "una chiave rifatta dopo una perdita",
}


def _lines(proved: "Proved", fresh: bool) -> list[str]:
    member, publication, root = proved.member, proved.publication, proved.root.root
    guarantors = ", ".join(proved.admitted_by) or "garanti di prima, confermati da quelli di oggi"
    part = "" if publication.vis == "public" else " (parte riservata agli enti della rete)"
    lines = [
        terminal.headed("La voce è autentica", f" – {proved.service.name}{part}"),
        *_pair(
            "Firmata da",
            f"{member.name} ({member.node}), il {clock(publication.at)}, pubblicazione n. {publication.rev}",
        ),
        *_pair("Con", f"{_HOW[proved.key.how]}, la n. {proved.key.n}, del {clock(proved.key.since)}"),
        *_pair("L'ente è ammesso da", f"{guarantors}, il {clock(member.admission.iat)}"),
        *_pair(
            "Ed è attivo", f"nell'elenco degli aderenti n. {proved.members_version}, del {clock(proved.members_from)}"
        ),
        *_pair("Rete", f"{root.name}{' – RETE PILOTA' if root.pilot else ''}, radice n. {root.n} dei garanti"),
        *_pair("Nel registro", f"riga {proved.seq + 1} di {proved.size}; nessuna riga dopo la toglie o la cambia"),
    ]
    if not fresh:
        old = f"la prova dice com'era fino al {clock(proved.members_until)}: per sapere com'è oggi chiederne una nuova."
        lines.append(
            terminal.tone(terminal.wrap(f"Attenzione: {old}", before="   ", after="     "), "warn", sys.stdout)
        )
    lines.append(terminal.tone(f"   {member.node} {proved.service.id}", "dim", sys.stdout))
    return lines


def _pair(label: str, value: str) -> list[str]:
    return [terminal.wrap(f"{label}: {value}", before="   ", after="     ")]


# -- heads


class _PeerHead(Struct):
    node: str
    at: int
    size: int | None
    verdict: str | None


class _KeptPair(Struct):
    at: int
    code: str
    source: str | None
    held_size: int
    shown_size: int
    provable: bool


class _Heads(Struct):
    size: int
    peers: list[_PeerHead]
    pairs: list[_KeptPair]


_VERDICTS: Final = {
    "same": "la stessa storia",
    "ahead": "più avanti di noi: si confronterà appena ci arriviamo",
    "unverified": "firma non riconosciuta",
    "conflict": "UN'ALTRA STORIA",
    None: "da confrontare",
}


@click.command("heads", cls=ItalianCommand, short_help="Se la bacheca racconta a tutti la stessa storia.")
@click.option("--export", "export", type=OutFile(), help="Scrive in un file le prove che la bacheca si è contraddetta.")
@click.option("--check", "check", metavar="FILE", type=InFile(), help="Controlla le prove esportate da un altro ente.")
@click.option("--net", metavar="RETE", help="Con --check: identificativo della rete; se manca, la nostra.")
@pass_session
def heads(session: Session, export: Path | None, check: Path | None, net: str | None) -> None:
    """Fin dove conosciamo il registro della bacheca, che cosa ne mostrano gli altri enti, le contraddizioni conservate.

    Due firme della bacheca che si contraddicono provano che ha mostrato storie diverse a enti diversi: si conservano
    per sempre, e chiunque può controllarle da sé con --check.
    """
    if check is not None:
        _check(session, check, net or _own_net(session))
        return
    if export is not None:
        export.write_bytes(session.call("heads-evidence", ask.Nothing()))
        session.tell(f"Prove scritte in {export}: si controllano con «heads --check».")
    session.show(session.call("heads", ask.Nothing()), _Heads, _heads)


def _check(session: Session, file: Path, net: str) -> None:
    from protocol.heads import check_evidence
    from protocol.suite import S1

    with expecting("le prove scritte da «heads --export»", file):
        found = check_evidence(_read(file), net=net, suite=S1)
    sizes = [{"held": one.held.size, "shown": one.shown.size} for one in found.found]
    if session.json:
        terminal.show_json({"ok": True, "net": net, "network": found.root.root.name, "pairs": sizes})
        return
    lines = [
        terminal.headed("La bacheca si è contraddetta", f" – {found.root.root.name}"),
        *(
            f"   una storia di {one.held.size} righe e un'altra di {one.shown.size}, tutte e due firmate da lei"
            for one in found.found
        ),
        "   Avvisare i garanti della rete.",
    ]
    terminal.show(terminal.narrow("\n".join(lines)))


def _heads(found: _Heads) -> str:
    lines = [f"Conosciamo il registro della bacheca fino alla riga {found.size}."]
    if found.peers:
        rows = [
            (one.node, clock(one.at), "" if one.size is None else str(one.size), _VERDICTS.get(one.verdict, ""))
            for one in found.peers
        ]
        lines.append(terminal.table(("Ente", "Mostrata il", "Righe", "Confronto"), rows).rstrip("\n"))
    else:
        lines.append("Nessun altro ente ci ha ancora mostrato la sua.")
    lines += [terminal.tone(_kept(one), "fail", sys.stdout) for one in found.pairs]
    return "\n".join([*lines, *([] if found.pairs else ["Nessuna contraddizione."])])


def _kept(one: _KeptPair) -> str:
    who = f"{one.source} ha visto" if one.source else "la bacheca ha mostrato"
    proof = "" if one.provable else " (conservate, ma da sole non bastano a convincere altri)"
    seen = f"{clock(one.at)}: {who} {one.shown_size} righe, noi {one.held_size}."
    text = f"{seen} {what_happened(one.code)} Le due firme sono conservate{proof}."
    return terminal.wrap(text, after="   ")


COMMANDS: Final = (verify, heads)
