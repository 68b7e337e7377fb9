"""init, join, serve, status, operators, members, keys, alarms, doctor: the command line of the installation itself."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec import UNSET, Struct

from node import requests as ask
from node.alarms import words
from node.answers import Aside, Tried
from node.cli_cases import clock, short_code
from node.cli_kit import (
    InFile,
    ItalianCommand,
    ItalianGroup,
    OneOf,
    Session,
    Whole,
    as_option,
    expecting,
    pass_session,
    read_json,
)
from node.runtime import terminal
from node.runtime.cli_kit import ask_text, findings
from node.runtime.wording import say, what_happened
from protocol.errors import ProtocolError
from schemas.membership import Contact, Identifiers, Invitation, ProtocolVersion, Wanted
from schemas.problems import PROBLEMS
from schemas.wire import NODE_ID

if TYPE_CHECKING:
    from node.runtime.config import NodeConfig
    from node.runtime.doctor import Check

CONFIG_NAME: Final = "raccordo.toml"
CAPS: Final = {
    "take-in-charge": "prende in carico",
    "pua": "PUA",
    "pis": "Pronto Intervento",
    "router": "smista",
    "relay": "tiene caselle",
}


# -- init


@click.command(
    "init", cls=ItalianCommand, short_help="Prepara una nuova installazione: configurazione, chiavi, archivio."
)
@click.option("--id", "id_", help="Nome tecnico dell'ente: minuscole, cifre, trattini (comune-tavullia).")
@click.option("--listen", metavar="IP:PORTA", help="Solo se è raggiungibile da fuori: dove ascolta.")
@click.option("--relay", is_flag=True, help="Tiene caselle per altri enti della rete.")
@click.option("--local-port", type=Whole(), default=0, help="Porta per i comandi di questo computer (0: una libera).")
@click.option("--plain-loopback", is_flag=True, help="Per prove: ammette indirizzi http su 127.0.0.1.")
@pass_session
def init(session: Session, /, id_: str | None, listen: str | None, **given: Any) -> None:
    """Crea nella cartella --dir la configurazione, le chiavi e l'archivio. Non sovrascrive mai delle chiavi."""
    if id_ is None:
        id_ = ask_text("Nome tecnico dell'ente (per esempio comune-tavullia)", "", _id_fault)
    host, port = _listen(listen)
    from node import enrolment
    from node.runtime.clock import SystemClock
    from node.runtime.dice import SystemDice
    from protocol.suite import S1

    request = enrolment.Init(
        id=id_,
        listen_host=host,
        listen_port=port,
        local_port=given["local_port"],
        relay=given["relay"],
        plain_http_loopback=given["plain_loopback"],
    )
    config = enrolment.init(session.data_dir, request, clock=SystemClock(), dice=SystemDice(), suite=S1)
    if session.json:
        terminal.show_json({"id": id_, "config": str(config)})
        return
    terminal.show(terminal.narrow(_after_init(session.data_dir, config)))


def _id_fault(text: str) -> str | None:
    return None if re.fullmatch(NODE_ID, text) else "Solo lettere minuscole, cifre e trattini, senza spazi."


def _listen(text: str | None) -> tuple[str | None, int]:
    if text is None:
        return None, 0
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise click.UsageError("--listen vuole indirizzo e porta, per esempio 0.0.0.0:8443.")
    return host.strip("[]"), int(port)


def _after_init(data_dir: Path, config: Path) -> str:
    program = "./run node" if sys.argv[0].endswith(".py") else "raccordo-node"  # as it was called, to be copied
    here = f"{program} --dir {data_dir}"
    return "\n".join(
        (
            f"Pronto. Configurazione: {config}",
            "Le chiavi sono in chiavi.json: chi le copia può firmare al posto dell'ente.",
            "Tenerne una copia al sicuro.",
            "",
            "Adesso:",
            f"  1. {here} operators add CODICE --role RL-COORDSPORT",
            f"  2. {here} serve          (resta in funzione)",
            f"  3. {here} join INVITO    (il file ricevuto dalla capofila)",
            f"  4. {here} import FOGLIO --preview, poi import, poi publish",
        )
    )


# -- join


@click.command("join", cls=ItalianCommand, short_help="Chiede di entrare nella rete con il file d'invito.")
@click.argument("invitation", metavar="INVITO", type=InFile())
@click.option("--wanted", type=InFile(), help="Richiesta intera in JSON; le opzioni la completano.")
@click.option("--name", help="Nome dell'ente, come nel protocollo d'intesa.")
@click.option("--type", "ptype", help="Tipo di ente (PT-…).")
@click.option("--cap", "caps", type=OneOf(*CAPS), multiple=True, help="Che cosa può fare. Si può ripetere.")
@click.option("--territory", multiple=True, help="Comune servito (nome o codice ISTAT). Si può ripetere.")
@click.option("--ipa", help="Codice IPA.")
@click.option("--cf", help="Codice fiscale dell'ente.")
@click.option("--runts", help="Numero RUNTS.")
@click.option("--protocol", "protocol", type=InFile(), help="Il protocollo d'intesa firmato (se ne annota l'impronta).")
@click.option("--protocol-version", help="Versione del protocollo d'intesa accettata.")
@click.option("--protocol-hash", help="Impronta del protocollo, se non si ha il file.")
@click.option("--phone", help="Telefono dell'ufficio per le questioni di rete.")
@click.option("--url", "urls", multiple=True, help="Indirizzo pubblico di questo computer, se ne ha uno.")
@click.option("--relay", "relays", multiple=True, help="Casella da usare; se manca, quelle dell'invito.")
@click.option("--notify", help="Indirizzo e-mail da avvisare se qualcosa aspetta; e dopo quante ore: «x@y.it 48».")
@pass_session
def join(session: Session, /, invitation: Path, wanted: Path | None, **given: Any) -> None:
    """Manda la richiesta e mostra otto parole da leggere al telefono a chi gestisce la rete.

    Il programma deve essere in funzione («serve»). L'ente è dentro quando si trova in un elenco firmato.
    """
    with expecting("il file d'invito ricevuto dalla capofila", invitation):
        invited = read_json(invitation, Invitation)
    held = read_json(wanted, dict[str, Any]) if wanted is not None else {}
    request = ask.Join(
        invitation=invited,
        wanted=_wanted(session, invited, held, given),
        urls=list(given["urls"]),
        relays=list(given["relays"]),
        notify=given["notify"],
    )
    session.tell(say("Chiedo di entrare nella rete «{name}»…").format(name=invited.name))
    session.show(session.call("join", request), _Joining, _joining)


def _wanted(session: Session, invited: Invitation, held: dict[str, Any], given: dict[str, Any]) -> Wanted:
    asked: dict[str, Any] = {"node": _own_id(session) or invited.node, **held}
    asked |= {"name": given["name"]} if given["name"] else {}
    asked |= {"ptype": _ptype(given["ptype"])} if given["ptype"] else {}
    if given["caps"]:
        asked["caps"] = list(given["caps"])
    if given["territory"]:
        asked["territory"] = [_istat(text) for text in given["territory"]]
    registers = {name: given[name] for name in ("ipa", "cf", "runts") if given[name]}
    if registers:
        asked["identifiers"] = Identifiers(**registers)
    if given["phone"]:
        asked["contact"] = Contact(phone=given["phone"])
    if (protocol := _protocol(given)) is not None:
        asked["protocol"] = protocol
    missing = [
        option
        for option, name in (("--name", "name"), ("--type", "ptype"), ("--protocol-version", "protocol"))
        if name not in asked
    ]
    if missing:
        raise click.UsageError(f"Per la richiesta servono ancora: {', '.join(missing)}.")
    try:
        return msgspec.convert({k: v for k, v in asked.items() if v is not UNSET}, Wanted, from_attributes=True)
    except msgspec.ValidationError as error:
        raise ProtocolError("bad-shape", field=str(error).rpartition("`$")[2].strip("`.") or "wanted") from None


def _own_id(session: Session) -> str:
    return _config(session).bodies[0].id


def _ptype(text: str) -> str:
    from node.asked import code

    return code(text, "participant_types", "ptype")


def _istat(text: str) -> str:
    from node.asked import comune
    from protocol.territory import Territory
    from schemas.vocabularies import table

    return text if text.isdigit() else comune(text, Territory.from_rows(table("comuni").values()), "territory")


def _protocol(given: dict[str, Any]) -> ProtocolVersion | None:
    """The version accepted, with the hash of its document: b64u(SHA-256)."""
    version, hash_ = given["protocol_version"], given["protocol_hash"]
    if given["protocol"] is not None:
        from base64 import urlsafe_b64encode
        from hashlib import sha256

        hash_ = urlsafe_b64encode(sha256(given["protocol"].read_bytes()).digest()).rstrip(b"=").decode()
    if not version and not hash_:
        return None
    if not version or not hash_:
        raise click.UsageError("Del protocollo d'intesa servono la versione e il file (o l'impronta).")
    return ProtocolVersion(version=version, hash=hash_)


class _Joining(Struct):
    node: str
    name: str
    words: str
    state: str
    ref: str | None = None


JOINED: Final = {
    "new": "non ha ancora chiesto di entrare nella rete",
    "pending": "ha chiesto di entrare, in attesa dei garanti",
    "admitted": "è nella rete",
}


def _joining(joining: _Joining) -> str:
    who = joining.name if joining.name == joining.node else f"{joining.name} ({joining.node})"
    lines = [f"{who} {JOINED[joining.state]}."]
    if joining.ref and joining.state != "admitted":
        lines.append(f"Richiesta: {joining.ref}")
    if joining.state == "pending":
        lines += ["Leggere al telefono alla capofila queste otto parole:", f"  {joining.words}"]
    return "\n".join(lines)


# -- serve, status


def _config(session: Session) -> "NodeConfig":
    from node.runtime.config import NodeConfig, load_config

    return load_config(session.data_dir / CONFIG_NAME, NodeConfig)


@click.command("serve", cls=ItalianCommand, short_help="Mette in funzione il programma; Ctrl-C per fermarlo.")
@click.option("--relay", is_flag=True, help="Tiene caselle per altri enti, anche se la configurazione non lo dice.")
@pass_session
def serve(session: Session, relay: bool) -> None:
    """Riceve, spedisce e tiene aggiornata la mappa finché resta in funzione."""
    config = _config(session)
    if relay:
        config = msgspec.structs.replace(config, relay=True)
    from node.app import serve as run
    from node.runtime.logs import configure

    configure(config.log_level)
    _not_twice(session)
    session.tell(say("Avvio di {node}: resta in funzione finché non si preme Ctrl-C.").format(node=config.bodies[0].id))
    run(config)


def _not_twice(session: Session) -> None:
    """A second one on the same directory is refused before anything else is said."""
    from node.engine import store_path
    from node.runtime.lock import lock_owner

    db = store_path(session.data_dir)
    pid = lock_owner(db.with_name(db.name + ".lock"))
    if pid is not None:
        raise ProtocolError("store-busy", field=str(session.data_dir), got=f"pid {pid or '?'}")


@click.command("sync", cls=ItalianCommand, short_help="Guarda subito se ci sono novità.")
@pass_session
def sync(session: Session) -> None:
    """Elenco degli aderenti, mappa e posta, senza aspettare il prossimo giro."""
    raw = session.call("sync", ask.Nothing())
    session.show(raw, dict[str, Any], lambda _: _synced(session))


def _synced(session: Session) -> str:
    found = msgspec.json.decode(session.call("status", ask.Nothing()), type=_Status)
    return "\n".join(("Fatto.", *_network(found), *_queue(found)))


class _Alarm(Struct):
    id: int
    at: int
    code: str
    node: str | None
    leg: str | None
    phone: str | None = None


class _Status(Struct):
    joining: _Joining
    network: str | None
    version: int | None
    freshness: str | None
    pilot: bool
    open_cases: dict[str, int]
    queue: int
    oldest_queued: int | None
    clock_offset: int
    clock_ok: bool
    alarms: list[_Alarm]
    backup: dict[str, Any] = {}
    backup_every: int | None = None
    restored_at: int | None = None
    resync_open: list[str] = []


FRESHNESS: Final = {
    "fresh": "aggiornato",
    "degraded": "NON aggiornato: si lavora con gli enti già noti",
    "beyond": "troppo vecchio: non si mandano nuovi invii",
}


@click.command("status", cls=ItalianCommand, short_help="Come va: rete, invii aperti, coda, allarmi.")
@pass_session
def status(session: Session) -> None:
    """Una schermata: chi siamo, se siamo nella rete, che cosa aspetta."""
    session.show(session.call("status", ask.Nothing()), _Status, _status)


def _status(found: _Status) -> str:
    lines = [_joining(found.joining), *_network(found)]
    sides = {"R": "ricevuti", "S": "mandati", "L": "interni"}
    cases = ", ".join(f"{found.open_cases.get(side, 0)} {word}" for side, word in sides.items())
    lines.append(f"Invii aperti: {cases}.")
    lines += _queue(found)
    if not found.clock_ok:
        lines.append(
            terminal.tone(f"L'ora del computer è sbagliata di {found.clock_offset} secondi.", "fail", sys.stdout)
        )
    lines += _copies(found)
    return "\n".join([*lines, *(_alarm(alarm) for alarm in found.alarms)])


def _copies(found: _Status) -> list[str]:
    from time import time

    from node.runtime.backup_state import State
    from node.runtime.cli_backup import state_lines

    lines = state_lines(msgspec.convert(found.backup, State), found.backup_every, int(time()))
    if found.resync_open and found.restored_at is not None:
        nodes = ", ".join(found.resync_open)
        text = f"TORNATO DA UNA COPIA il {clock(found.restored_at)}. Enti ancora da sentire: {nodes}."
        lines.append(terminal.tone(text, "warn", sys.stdout))
    return lines


def _network(found: _Status) -> list[str]:
    if found.network is None:
        return []
    pilot = " – RETE PILOTA" if found.pilot else ""
    words = FRESHNESS.get(found.freshness or "", "non ancora ricevuto")
    return [f"Rete: {found.network}{pilot}; elenco degli aderenti n. {found.version or '–'}: {words}."]


def _queue(found: _Status) -> list[str]:
    oldest = f", il più vecchio dal {clock(found.oldest_queued)}" if found.oldest_queued else ""
    return [f"In partenza: {found.queue}{oldest}."]


def _alarm(alarm: _Alarm) -> str:
    what = words(alarm.code) or (what_happened(alarm.code) if alarm.code in PROBLEMS else alarm.code)
    about = " ".join(text for text in (alarm.node, short_code(alarm.leg) if alarm.leg else None) if text)
    phone = f" (tel. {alarm.phone})" if alarm.phone else ""
    line = f"Allarme {alarm.id} ({clock(alarm.at)}): {what} {about}".rstrip() + phone
    return terminal.tone(line, "warn", sys.stdout)


@click.command("alarms", cls=ItalianCommand, short_help="Che cosa va guardato da una persona.")
@click.option("--clear", type=Whole(), help="Numero dell'allarme di cui si è preso nota.")
@pass_session
def alarms(session: Session, clear: int | None) -> None:
    """Gli allarmi aperti; con --clear se ne chiude uno."""
    if clear is not None:
        session.call("clear-alarm", ask.ClearAlarm(id=clear))
    raw = session.call("alarms", ask.Nothing())
    session.show(raw, list[_Alarm], lambda found: "\n".join(map(_alarm, found)) or "Nessun allarme.")


@click.command("quarantine", cls=ItalianCommand, short_help="I messaggi che il programma non ha saputo leggere.")
@click.option("--retry", is_flag=True, help="Riprova tutti: dopo un aggiornamento del programma.")
@pass_session
def quarantine(session: Session, retry: bool) -> None:
    """Restano qui come sono arrivati, chiusi; gli altri messaggi dello stesso ente passano. Nulla va perso.

    La causa è un difetto del programma: segnalarlo con il punto indicato, aggiornare, poi --retry.
    """
    if retry:
        session.show(session.call("retry-quarantine", ask.Nothing()), Tried, _tried)
        return
    raw = session.call("quarantine", ask.Nothing())
    session.show(raw, list[Aside], lambda found: _set_aside(found) or "Nessun messaggio messo da parte.")


def _set_aside(found: list[Aside]) -> str:
    what = {True: "conferma", False: "messaggio"}
    return "\n".join(
        f"{one.id}  {clock(one.at)}  {what[one.receipt]} di {one.node}, {one.size // 1024 + 1} KiB, "
        f"{'un tentativo' if one.tries == 1 else f'{one.tries} tentativi'}: {one.fault}"
        for one in found
    )


def _tried(found: Tried) -> str:
    done = "Un messaggio è passato." if found.done == 1 else f"Messaggi passati: {found.done}."
    return f"{done}\nAncora da parte:\n{_set_aside(found.left)}" if found.left else done


# -- operators


class _Operator(Struct):
    code: str
    role: str
    desk: str | None
    active: bool


@click.group("operators", cls=ItalianGroup, short_help="Operatori e ruoli di questo ente.")
def operators() -> None:
    """Operatori: codici locali con un ruolo. I nomi delle persone non si scrivono qui."""


@operators.command("add", short_help="Aggiunge o cambia un operatore.")
@click.argument("code", metavar="CODICE")
@click.option("--role", required=True, help="RL-OPSPORT, RL-COORDSPORT, RL-ASSOC, RL-RESP, RL-VOLONT, RL-REFNODO…")
@click.option("--desk", help="Sportello in cui lavora.")
@as_option()
@pass_session
def operator_add(session: Session, code: str, role: str, desk: str | None, as_: str | None) -> None:
    """Aggiunge un codice operatore con il suo ruolo, o ne cambia ruolo e sportello."""
    request = ask.OperatorAdd(code=code, role=role.upper(), desk=desk, as_=as_)
    raw = session.call("operator-add", request)
    session.show(raw, _Operator, lambda one: f"Operatore {one.code}: {_role(one.role)}.")


@operators.command("disable", short_help="Un operatore non può più agire.")
@click.argument("code", metavar="CODICE")
@as_option()
@pass_session
def operator_disable(session: Session, code: str, as_: str | None) -> None:
    """Il codice non può più agire; ciò che ha firmato resta valido."""
    raw = session.call("operator-disable", ask.OperatorDisable(code=code, as_=as_))
    session.show(raw, dict[str, Any], lambda _: f"Operatore {code} disattivato.")


@operators.command("list", short_help="Gli operatori.")
@pass_session
def operator_list(session: Session) -> None:
    """I codici, con ruolo e sportello."""
    session.show(session.call("operators", ask.Nothing()), list[_Operator], _operators)


def _operators(found: list[_Operator]) -> str:
    if not found:
        return "Nessun operatore. Aggiungerne uno: operators add CODICE --role RL-COORDSPORT"
    rows = [(one.code, _role(one.role), one.desk or "", "" if one.active else "disattivato") for one in found]
    return terminal.table(("Codice", "Ruolo", "Sportello", ""), rows)


def _role(code: str) -> str:
    from schemas.vocabularies import label

    return f"{label('roles', code)} ({code})"


# -- members, keys


class _Member(Struct):
    node: str
    name: str
    ptype: str
    status: str
    caps: list[str]
    direct: bool
    relays: list[str]
    outdated: bool
    hosted_by: str | None = None
    heard_at: int | None = None


class _Members(Struct):
    network: str
    version: int
    freshness: str
    pilot: bool
    members: list[_Member]
    void: dict[str, str]


STATUS: Final = {"active": "attivo", "suspended": "SOSPESO", "ended": "uscito"}


@click.command("members", cls=ItalianCommand, short_help="Gli enti della rete.")
@pass_session
def members(session: Session) -> None:
    """L'elenco firmato degli aderenti, come questo computer l'ha verificato."""
    session.show(session.call("members", ask.Nothing()), _Members, _members)


def _members(found: _Members) -> str:
    rows = [
        (
            member.node,
            member.name + (f" (presso {member.hosted_by})" if member.hosted_by else ""),
            ", ".join(CAPS.get(cap, cap) for cap in member.caps),
            STATUS[member.status] + (", protocollo vecchio" if member.outdated else ""),
            _reached(member),
        )
        for member in found.members
    ]
    head = f"{found.network}{' – RETE PILOTA' if found.pilot else ''}: elenco n. {found.version}, "
    table = terminal.table(("Ente", "Nome", "Abilitato a", "Stato", "Si raggiunge"), rows)
    void = [f"Non valido: {node} – {what_happened(code)}" for node, code in found.void.items() if code in PROBLEMS]
    return head + FRESHNESS[found.freshness] + ".\n" + table + "\n".join(void)


def _reached(member: _Member) -> str:
    way = "diretto" if member.direct else "casella" if member.relays else "non ancora"
    return way + (f", sentito il {clock(member.heard_at)}" if member.heard_at else "")


class _Key(Struct):
    use: str
    kid: str
    state: str
    created: int


@click.command("keys", cls=ItalianCommand, short_help="Le chiavi dell'ente e le parole per riconoscerle.")
@pass_session
def keys(session: Session) -> None:
    """Quali chiavi ci sono, mai il loro segreto; le otto parole si leggono al telefono."""
    raw = session.call("keys", ask.Nothing())
    if session.json:
        terminal.show(raw.decode())
        return
    held = msgspec.json.decode(raw, type=list[_Key])
    known = msgspec.json.decode(session.call("status", ask.Nothing()), type=_Status)
    uses = {"sign": "firma", "seal": "posta"}
    states = {"current": "in uso", "next": "prossima", "old": "vecchia"}
    rows = [(uses[key.use], key.kid[:16] + "…", states[key.state], clock(key.created)) for key in held]
    terminal.show(terminal.table(("Per", "Chiave", "Stato", "Creata"), rows) + f"Otto parole: {known.joining.words}")


# -- doctor


@click.command("doctor", cls=ItalianCommand, short_help="Controlla questo computer e spiega che cosa sistemare.")
@pass_session
def doctor(session: Session) -> int:
    """Disco, permessi, orologio, chiavi, archivio. Non cambia nulla; esce con 1 se qualcosa non va."""
    from node.runtime import doctor as checks

    results = checks.run_checks(_checks(session))
    if session.json:
        terminal.show_json([result._asdict() for result in results])
    else:
        terminal.show(findings(results))
    return terminal.REFUSED if checks.worst(results) == "fail" else terminal.DONE


def _checks(session: Session) -> "list[Check]":
    from node.body import KEYS_NAME
    from node.engine import store_path
    from node.runtime import doctor as checks
    from node.runtime.ports import KeyEntry

    data = session.data_dir
    db = store_path(data)
    secret = [data / name for name in (KEYS_NAME, CONFIG_NAME, "local.json")] + [db]

    def key_entries() -> list[KeyEntry]:
        held = msgspec.json.decode(session.call("keys", ask.Nothing()), type=list[_Key])
        return [KeyEntry(key.use, key.kid, key.state, key.created) for key in held]  # type: ignore[arg-type]

    def offset() -> int | None:
        found = msgspec.json.decode(session.call("status", ask.Nothing()), type=_Status)
        return found.clock_offset if found.network is not None else None

    return [
        checks.local_disk(data),
        checks.data_directory(data),
        checks.disk_space(data if data.exists() else Path()),
        checks.file_modes(secret),
        checks.owner(db),
        checks.keys_present(key_entries),
        checks.clock_offset(offset),
        checks.Check("archivio", lambda: _store(session, db)),
        checks.Check("storia della bacheca", lambda: _history(session)),
        *_backup_checks(session),
    ]


def _backup_checks(session: Session) -> "list[Check]":
    from time import time

    from node.runtime import doctor as checks
    from node.runtime.backup_state import load
    from node.runtime.cli_backup import backup_check
    from node.runtime.restore import put_aside

    def restored() -> checks.Finding:
        if aside := put_aside(session.data_dir):
            text = say("C'è ancora ciò che un ripristino ha messo da parte: {path}").format(path=aside[0])
            return checks.Finding("warn", text, say("Quando tutto va, toglierlo: contiene anche ciò che è cancellato."))
        found = msgspec.json.decode(session.call("status", ask.Nothing()), type=_Status)
        if not found.resync_open:
            return checks.Finding("ok", say("Nessun ente da sentire dopo un ripristino."))
        text = say("Tornato da una copia; enti da sentire: {nodes}").format(nodes=", ".join(found.resync_open))
        return checks.Finding("warn", text, say("Telefonare, poi «restore --confirm-peer ENTE --as CODICE»."))

    return [
        backup_check(lambda: load(session.data_dir), lambda: _config(session).backup, lambda: int(time())),
        checks.Check("ripristino", restored),
    ]


def _store(session: Session, db: Path) -> Any:
    """Whole when nobody is using it; a running process asserts its own settings at every commit."""
    from node.body import MIGRATIONS
    from node.runtime.doctor import Finding, store_content
    from node.runtime.store import Store

    try:
        store = Store.open(db, MIGRATIONS, create=False)
    except ProtocolError as error:
        if error.code != "store-busy":
            raise
        return Finding("ok", say("In uso dal programma in funzione, che lo controlla a ogni scrittura."))
    try:
        return store_content(store).ask()
    finally:
        store.close()


class _KeptHeads(Struct):
    pairs: list[dict[str, Any]]


def _history(session: Session) -> Any:
    """One story for everybody, as far as anybody has noticed."""
    from node.runtime.doctor import Finding

    held = msgspec.json.decode(session.call("heads", ask.Nothing()), type=_KeptHeads)
    if not held.pairs:
        return Finding("ok", say("La bacheca d'Ambito ha raccontato finora una storia sola."))
    text = say("La bacheca d'Ambito si è contraddetta: {count} volte.").format(count=len(held.pairs))
    return Finding("fail", text, say("Avvisare i garanti; le firme sono conservate: «heads», «heads --export»."))


COMMANDS: Final = (init, join, serve, status, sync, alarms, quarantine, operators, members, keys, doctor)
