"""keys and what is under it: one's own keys, the new keys of others, a lost key. Shows, decides nothing."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
from msgspec import Struct

from node import requests as ask
from node.cli_cases import clock
from node.cli_kit import (
    InFile,
    ItalianCommand,
    ItalianGroup,
    OutFile,
    Session,
    as_option,
    expecting,
    pass_session,
    read_json,
)
from node.runtime import terminal
from node.runtime.platform import create_private
from node.runtime.wording import say
from protocol.errors import ProtocolError
from schemas.membership import Invitation, RecoveryFile

if TYPE_CHECKING:
    from node.runtime.doctor import Check

USES: Final = {"sign": "firma", "seal": "posta"}
STATES: Final = {"current": "in uso", "next": "prossima", "old": "vecchia"}
HOW: Final = {"recovery": "rifatta dopo una perdita", "readmitted": "di un ente riammesso", "first": "–"}
WAITING: Final = {
    "rotation": "Chiavi nuove dichiarate: valgono quando l'elenco degli aderenti le mostra.",
    "compromise": "Chiavi in uso revocate: le nuove valgono quando l'elenco degli aderenti le mostra.",
    "recovery": "Chiave nuova al posto di quella persa: vale quando l'elenco degli aderenti la mostra.",
}


class _Key(Struct):
    use: str
    kid: str
    state: str
    created: int


class _Own(Struct):
    words: str
    next_words: str | None = None
    waiting: str | None = None
    since: int | None = None
    signing_until: int | None = None
    emergency: bool = False


class _Peer(Struct):
    node: str
    name: str
    how: str
    since: int
    words: str
    confirmed: int | None = None
    operator: str | None = None


@click.group("keys", cls=ItalianGroup, invoke_without_command=True, short_help="Le chiavi dell'ente, e quelle altrui.")
@click.pass_context
def keys(ctx: click.Context) -> None:
    """Quali chiavi ci sono, mai il loro segreto; le otto parole si leggono al telefono.

    Il programma le cambia da solo: quella della posta ogni 90 giorni, quella della firma ogni anno.
    """
    session = ctx.find_object(Session)
    if ctx.invoked_subcommand is not None or session is None:
        return
    raw = session.call("keys", ask.Nothing())
    if session.json:
        terminal.show(raw.decode())
        return
    held = msgspec.json.decode(raw, type=list[_Key])
    own = msgspec.json.decode(session.call("own-keys", ask.Nothing()), type=_Own)
    peers = msgspec.json.decode(session.call("peer-keys", ask.Nothing()), type=list[_Peer])
    rows = [(USES[key.use], key.kid[:16] + "…", STATES[key.state], clock(key.created)) for key in held]
    table = terminal.table(("Per", "Chiave", "Stato", "Creata"), rows)
    terminal.show(table + terminal.narrow("\n".join([*_own(own), *map(_peer, peers)])))


def _own(own: _Own) -> list[str]:
    lines = [f"Otto parole: {own.words}"]
    if own.next_words:
        lines.append(f"Otto parole della prossima: {own.next_words}")
    if own.waiting:
        lines.append(WAITING[own.waiting])
    if own.signing_until is not None:
        lines.append(f"La firma si rinnova da sola il {clock(own.signing_until)}.")
        if not own.emergency:
            lines.append("Nessuna chiave d'emergenza depositata: se le chiavi si perdono servono i garanti.")
    return lines


def _peer(peer: _Peer) -> str:
    head = f"{peer.name} ({peer.node}): chiave {HOW[peer.how]}, dal {clock(peer.since)}"
    if peer.confirmed is not None:
        return f"{head}; confermata da {peer.operator or '–'} il {clock(peer.confirmed)}."
    return f"{head}: DA CONFERMARE. Telefonare, farsi leggere le otto parole, poi «keys confirm {peer.node}»."


def checks(session: Session) -> "list[Check]":
    """What `doctor` asks about keys: of ours and of others."""
    from node.runtime.doctor import Check, Finding

    def ours() -> Finding:
        own = msgspec.json.decode(session.call("own-keys", ask.Nothing()), type=_Own)
        if own.since is None:
            return Finding("ok", say("Non ancora nella rete."))
        if not own.emergency:
            text = say("Nessuna chiave d'emergenza depositata: se le chiavi si perdono servono più garanti.")
            return Finding("warn", text, say("«keys emergency», poi la capofila con «amend --emergency»."))
        return Finding("ok", say("Chiave d'emergenza depositata; le altre si rinnovano da sole."))

    def theirs() -> Finding:
        peers = msgspec.json.decode(session.call("peer-keys", ask.Nothing()), type=list[_Peer])
        names = ", ".join(peer.node for peer in peers if peer.confirmed is None)
        if not names:
            return Finding("ok", say("Nessuna chiave di altri uffici da confermare."))
        text = say("Chiavi nuove da confermare al telefono: {nodes}").format(nodes=names)
        return Finding("warn", text, say("Telefonare, poi «keys confirm»; finché non è fatto a loro non parte nulla."))

    return [Check("chiavi dell'ente", ours), Check("chiavi degli altri", theirs)]


@keys.command("confirm", cls=ItalianCommand, short_help="Conferma la chiave nuova di un altro ufficio.")
@click.argument("node", metavar="ENTE")
@click.option("--words", required=True, help="Le otto parole che l'ufficio ha letto al telefono dal suo schermo.")
@as_option(required=True)
@pass_session
def confirm(session: Session, node: str, words: str, as_: str) -> None:
    """Si telefona a un numero che si conosce già, non a uno ricevuto adesso; l'altro legge le parole di «keys».

    Finché non è confermata, a quell'ufficio non parte nulla; ciò che aspetta parte subito dopo.
    """
    raw = session.call("confirm-key", ask.ConfirmKey(node=node, words=words, as_=as_))
    session.show(raw, _Peer, lambda peer: f"Confermata la chiave di {peer.name}: ciò che aspettava parte adesso.")


@keys.command("rotate", cls=ItalianCommand, short_help="Cambia le chiavi adesso, prima della scadenza.")
@click.option("--signing", is_flag=True, help="Solo la chiave della firma.")
@click.option("--sealing", is_flag=True, help="Solo la chiave della posta.")
@as_option(required=True)
@pass_session
def rotate(session: Session, signing: bool, sealing: bool, as_: str) -> None:
    """Prepara le chiavi nuove e le dichiara alla bacheca. Non interrompe il lavoro, nulla va perso."""
    both = signing == sealing
    request = ask.RotateKeys(as_=as_, signing=signing or both, sealing=sealing or both)
    session.show(session.call("rotate-keys", request), _Own, lambda own: "\n".join(_own(own)))


@keys.command("compromised", cls=ItalianCommand, short_help="Qualcun altro può avere le chiavi: revocarle subito.")
@as_option(required=True)
@pass_session
def compromised(session: Session, as_: str) -> None:
    """Da adesso le chiavi di prima non valgono più, per nessuno; le nuove sono già in uso.

    Ciò che era in partenza viene firmato di nuovo. Se un altro le ha già cambiate, serve «keys recover».
    """
    request = ask.RotateKeys(as_=as_, compromised=True)
    session.show(session.call("rotate-keys", request), _Own, lambda own: "\n".join(_own(own)))


@keys.command("emergency", cls=ItalianCommand, short_help="Crea la chiave d'emergenza, da tenere fuori dal computer.")
@click.option("--out", required=True, type=OutFile(), help="Dove scriverla: una chiavetta, da chiudere in cassaforte.")
@pass_session
def emergency(session: Session, out: Path) -> None:
    """Con questo file, se il computer si perde, l'ente rifà le sue chiavi da solo. Chi lo ha può farlo al posto vostro.

    Vale quando i garanti l'hanno firmata nell'ammissione: con «join --emergency FILE», o «amend --emergency» della
    capofila.
    """
    from node.keys import emergency as files
    from node.runtime.dice import SystemDice
    from protocol.suite import S1

    node = _node(session)
    key = files.emergency_key(node, SystemDice().bytes(32), S1)
    _write(out, files.write(key))
    if session.json:
        terminal.show_json({"file": str(out), "x": key.x, "words": key.words})
        return
    lines = (
        f"Chiave d'emergenza scritta: {out}",
        "Portarla via da questo computer. Chi gestisce la rete deve avere questa riga:",
        f"  {key.x}",
        f"Otto parole: {key.words}",
    )
    terminal.show(terminal.narrow("\n".join(lines)))


def emergency_public(path: Path) -> str:
    """The public half of an emergency key."""
    from node.keys import emergency as files
    from protocol.suite import S1

    with expecting("il file scritto da «keys emergency»", path):
        return files.read(path.read_bytes()[: files.FILE_MAX + 1], S1).x


def _node(session: Session) -> str:
    from node.enrolment import CONFIG_NAME
    from node.runtime.config import NodeConfig, load_config

    return load_config(session.data_dir / CONFIG_NAME, NodeConfig).bodies[0].id


def _write(path: Path, raw: bytes) -> None:
    """A new file, 0600 from its first moment."""
    try:
        descriptor = create_private(path)
    except FileExistsError:
        raise ProtocolError("file-exists", field=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)


@keys.command("recover", cls=ItalianCommand, short_help="Rifà le chiavi perse, su un computer nuovo o ripristinato.")
@click.argument("invitation", metavar="[INVITO]", type=InFile(), required=False)
@click.option("--key", type=InFile(), help="Il file della chiave d'emergenza.")
@click.option("--request", "out", type=OutFile(), help="Senza chiave d'emergenza: scrive la richiesta per i garanti.")
@click.option("--signed", type=InFile(), multiple=True, help="La richiesta firmata dai garanti. Si può ripetere.")
@pass_session
def recover(
    session: Session, invitation: Path | None, key: Path | None, out: Path | None, signed: tuple[Path, ...]
) -> None:
    """Con la chiave d'emergenza, o con le firme dei garanti. Il programma deve essere in funzione («serve»).

    Su un computer nuovo: «init» con lo stesso nome tecnico, «serve», poi questo con il file d'invito di allora.
    Gli altri uffici vengono avvisati e confermano la chiave nuova al telefono; quelle di prima non valgono più.
    """
    if sum((key is not None, out is not None, bool(signed))) != 1:
        raise click.UsageError("Serve una di: --key, --request, --signed.")
    invited = None
    if invitation is not None:
        with expecting("il file d'invito ricevuto dalla capofila", invitation):
            invited = read_json(invitation, Invitation)
    if out is not None:
        _ask_guarantors(session, invited, out)
        return
    request = ask.Recover(invitation=invited, seed=_seed(session, key) if key else None, signed=_signed(signed))
    session.show(session.call("recover", request), _Own, _recovered)


def _recovered(own: _Own) -> str:
    done = (
        "Le chiavi di prima non valgono più. Gli altri uffici confermeranno al telefono: leggere loro le otto parole."
    )
    return "\n".join([WAITING["recovery"] if own.waiting else done, *_own(own)])


def _seed(session: Session, path: Path) -> bytes:
    from node.keys import emergency as files
    from protocol.suite import S1

    with expecting("il file scritto da «keys emergency»", path):
        held = files.read(path.read_bytes()[: files.FILE_MAX + 1], S1)
    if held.node != _node(session):
        raise ProtocolError("wrong-emergency-key", field="node", expected=_node(session), got=held.node)
    return held.seed


def _signed(paths: tuple[Path, ...]) -> list[str]:
    found = []
    for path in paths:
        with expecting("la richiesta firmata con «raccordo-registry recovery»", path):
            found.append(read_json(path, RecoveryFile).signed)
    return found


def _ask_guarantors(session: Session, invited: Invitation | None, out: Path) -> None:
    if invited is not None:
        session.call("recover", ask.Recover(invitation=invited))
    raw = session.call("recovery-request", ask.Nothing())
    _write(out, raw)
    words = msgspec.json.decode(session.call("own-keys", ask.Nothing()), type=_Own)
    shown = words.next_words or words.words
    if session.json:
        terminal.show_json({"file": str(out), "words": shown})
        return
    text = "I garanti la firmano con «raccordo-registry recovery», dopo avere sentito al telefono queste otto parole:"
    terminal.show(terminal.narrow(f"Richiesta scritta: {out}\n{text}\n  {shown}"))


COMMANDS: Final = (keys,)
