"""raccordo-registry: the capofila's command line. Words and files; every operation is a row of registry.commands.

A command reaches the running `serve` through the local channel, else opens the store itself. `approve`, `root key` and
`root sign` need no store: they run on a guarantor's own computer.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from node.runtime import terminal
from node.runtime.cli_kit import Folder, InFile, OutFile, Whole, ask_yes, expecting, findings, version_option
from protocol.errors import ProtocolError
from registry import cli_apps, cli_backup, cli_recovery
from registry.cli_kit import CONFIG_NAME, DEFAULT_DIR, ENV_DIR, Group, Session, mark_pilot, read_file, write_private
from registry.cli_recovery import guarantor as _guarantor

if TYPE_CHECKING:
    from node.runtime.doctor import Result
    from registry.app import App
    from registry.approval import Review
    from registry.asking import Expiry, Members, Status, Waiting
    from schemas.membership import Invitation

ROOT_FILE_MAX: Final = 512_000
APPROVAL_MAX: Final = 8 * 1024 * 1024
DOCUMENT_MAX: Final = 20 * 1024 * 1024
STATES: Final = {"active": "attivo", "suspended": "sospeso", "ended": "uscito"}
CAPS: Final = {
    "take-in-charge": "prendere in carico", "pua": "essere il PUA", "pis": "essere il Pronto Intervento",
    "router": "smistare", "relay": "tenere caselle",
}  # fmt: skip

pass_session = click.make_pass_decorator(Session)
_file = InFile()
_new = OutFile()
_folder = Folder()


@click.group("raccordo-registry", cls=Group)
@click.option("--dir", "dir_", type=_folder, default=DEFAULT_DIR, envvar=ENV_DIR,
              help=f"Cartella dei dati (./{DEFAULT_DIR}, o la variabile {ENV_DIR}).")  # fmt: skip
@click.option("--json", "json_", is_flag=True, help="Risposte in JSON, per programmi.")
@version_option
@click.pass_context
def main(ctx: click.Context, dir_: Path, json_: bool) -> None:
    """La bacheca d'Ambito: chi aderisce, che cosa è pubblicato. Nessun caso passa di qui in chiaro.

    Per cominciare: init, poi serve e invite. Ogni comando ha il suo aiuto: raccordo-registry COMANDO --help
    """
    ctx.obj = Session(dir_, json_)


# -- founding and serving


@main.command()
@click.option("--answers", type=_file, help="Le risposte in un file TOML, senza domande.")
@click.option("--pilot", is_flag=True, help="Radice di una persona sola, per provare: ogni uscita lo dice.")
@click.option("--key-dir", type=_folder, help="Cartella per le chiavi dei garanti (la chiavetta).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Indirizzo su cui ascoltare.")
@click.option("--port", type=Whole(), help="Porta su cui ascoltare.")
@click.option("--passphrase-file", type=_file, help="File con la frase segreta che protegge le chiavi dei garanti.")
@click.option("--plain-loopback", "--plain-http", "plain_http", is_flag=True,
              help="Per prove: ammette indirizzi http su 127.0.0.1.")  # fmt: skip
@pass_session
def init(
    session: Session, answers: Path | None, pilot: bool, key_dir: Path | None, host: str, port: int | None,
    passphrase_file: Path | None, plain_http: bool,
) -> None:  # fmt: skip
    """Fonda una rete: nome, garanti, chiavi, radice. Al più dodici domande."""
    from node.runtime.clock import SystemClock
    from node.runtime.config import load_secret
    from node.runtime.dice import SystemDice
    from protocol.suite import S1
    from registry.founding import Place, Ports, found
    from registry.setup import read_answers
    from registry.talking import ask

    if answers is None:
        if (session.data_dir / CONFIG_NAME).exists():  # said before the questions, not after them
            raise ProtocolError("keys-exist", field=str(session.data_dir))
        given, key_dir, port = ask(pilot, key_dir, port, plain_http)
        base = Path()
    else:
        given, base = read_answers(answers), answers.resolve().parent
        if pilot:
            given = msgspec.structs.replace(given, network=msgspec.structs.replace(given.network, pilot=True))
    secret = load_secret(passphrase_file) if passphrase_file else None
    folder = key_dir or session.data_dir.resolve().parent / "chiavi-garanti"
    place = Place(session.data_dir, base, folder, host, 8080 if port is None else port, plain_http, secret)
    founded = found(given, place, Ports(SystemClock(), SystemDice(), S1))
    net = founded.installed.net if founded.installed else ""
    if given.network.pilot:
        mark_pilot(session.json)
    lines = [f"Rete fondata: {given.network.name}", f"Configurazione: {founded.config}"]
    lines += [f"Chiave di garante: {path}" for path in founded.key_files]
    if founded.key_files:
        lines.append(
            "Stampare i fogli (*.foglio.html), poi portare via la cartella delle chiavi: non resta sul server."
        )
    if net:
        lines += ["", "Identificativo della rete, da stampare nel protocollo d'intesa:", f"  {net}"]
    else:
        lines += [
            "",
            f"La radice attende le firme dei garanti: {founded.draft}",
            "Ogni garante, sul proprio computer: raccordo-registry root sign BOZZA --key CHIAVE",
            "Poi qui: raccordo-registry root install FIRMA…",
        ]
    result = {
        "net": net, "pilot": given.network.pilot, "config": str(founded.config), "draft": str(founded.draft),
        "keys": [str(path) for path in founded.key_files], "installed": founded.installed is not None,
    }  # fmt: skip
    session.show(result, "\n".join(lines))


@main.command()
@click.option("--host", help="Indirizzo, al posto di quello della configurazione.")
@click.option("--port", type=Whole(), help="Porta, al posto di quella della configurazione.")
@pass_session
def serve(session: Session, host: str | None, port: int | None) -> None:
    """Mette in funzione la bacheca, fino a Ctrl-C."""
    import asyncio

    from node.runtime import logs
    from node.runtime.clock import SystemClock
    from node.runtime.config import RegistryConfig, load_config
    from node.runtime.dice import SystemDice
    from protocol.suite import S1
    from registry.app import App
    from registry.app import serve as run

    config = load_config(session.data_dir / CONFIG_NAME, RegistryConfig)
    http = config.http
    if host is not None:
        http = msgspec.structs.replace(http, listen_host=host)
    if port is not None:
        http = msgspec.structs.replace(http, listen_port=port)
    logs.configure(config.log_level)
    app = App.open(msgspec.structs.replace(config, http=http), clock=SystemClock(), dice=SystemDice(), suite=S1)
    asyncio.run(run(app, lambda app: _serving(app, session)))


def _serving(app: "App", session: Session) -> None:
    held = app.service.membership
    if held.root.pilot:
        mark_pilot(session.json)
    address = f"http://{app.config.http.listen_host or '127.0.0.1'}:{app.port}"
    state = {"url": address, "port": app.port, "local_port": app.local_port, "net": held.net, "pilot": held.root.pilot}
    session.show(
        state,
        (
            f"In funzione su {address} – rete «{held.root.root.name}»,"
            f" {_count(len(held.members), 'aderente', 'aderenti')}. Ctrl-C per fermare."
        ),
    )
    sys.stdout.flush()


# -- the root


@main.group(cls=Group)
def root() -> None:
    """La radice della rete: chi sono i garanti."""


@root.command("key")
@click.argument("name", metavar="NOME")
@click.option("--out", type=_folder, default=Path(), help="Cartella della chiavetta.")
@click.option("--network", default="", help="Nome della rete, da stampare sul foglio.")
@click.option("--passphrase-file", type=_file, help="File con la frase segreta che protegge la chiave.")
@pass_session
def root_key(session: Session, name: str, out: Path, network: str, passphrase_file: Path | None) -> None:
    """Fa la chiave di un garante, sul suo computer: file riservato, foglio da stampare, parte pubblica (.pub)."""
    from node.runtime.config import load_secret
    from node.runtime.dice import SystemDice
    from protocol.suite import S1
    from registry.ceremony import guarantor_key
    from registry.founding import write_guarantor

    dice = SystemDice()
    secret = load_secret(passphrase_file) if passphrase_file else None
    path = write_guarantor(guarantor_key(name, dice.bytes(32), S1), out, network, dice, False, secret)
    public = path.with_name(path.name.replace(".chiave.json", ".pub"))
    result = {"key": str(path), "public": str(public)}
    session.show(result, f"Chiave riservata: {path}\nParte pubblica, da dare all'ente capofila: {public}")


@root.command("restore")
@click.argument("name", metavar="NOME")
@click.option("--out", type=_new, required=True, help="Dove scrivere il file della chiave.")
@pass_session
def root_restore(session: Session, name: str, out: Path) -> None:
    """Rifà il file di una chiave dalle quattro righe del foglio."""
    from protocol.suite import S1
    from registry.ceremony import guarantor_key, parse_seed, write_key

    lines = [click.prompt(f"Riga {n}", err=True) for n in range(1, 5)]
    key = guarantor_key(name, parse_seed(lines), S1)
    write_private(out, write_key(key))
    session.show({"key": str(out), "x": key.public.x}, f"Scritto {out}. Impronta pubblica: {key.public.x}")


@root.command("draft")
@click.option("--pub", "pubs", type=_file, multiple=True, help="Parte pubblica di un garante nuovo (ripetibile).")
@click.option("--threshold", type=Whole(), default=0, help="Firme per cambiare la radice.")
@click.option("--admission-threshold", type=Whole(), default=0, help="Firme per ammettere un ente.")
@click.option("--new-server-keys", is_flag=True, help="Anche chiavi nuove del server (dopo un'intrusione).")
@click.option("--out", type=_new, required=True, help="Dove scrivere la bozza.")
@pass_session
def root_draft(
    session: Session,
    pubs: tuple[Path, ...],
    threshold: int,
    admission_threshold: int,
    new_server_keys: bool,
    out: Path,
) -> None:
    """Prepara la radice successiva: rinnovo con gli stessi garanti, o con altri (anche dopo una rete pilota)."""
    from registry.asking import Plan, Text
    from registry.founding import read_public

    plan = Plan(
        guarantors=[read_public(path) for path in pubs],
        threshold=threshold,
        admission_threshold=admission_threshold,
        new_server_keys=new_server_keys,
    )
    draft = session.ask("root-draft", plan, Text)
    write_private(out, draft.text.encode())
    session.show({"draft": str(out)}, f"Bozza scritta: {out}\nLa firmano i garanti di prima e quelli di adesso.")


@root.command("sign")
@click.argument("draft", type=_file, metavar="BOZZA")
@click.option("--key", type=_file, required=True, help="File della chiave del garante.")
@click.option("--out", type=_new, help="Dove scrivere la firma.")
@click.option("--passphrase-file", type=_file, help="File con la frase segreta della chiave.")
@pass_session
def root_sign(session: Session, draft: Path, key: Path, out: Path | None, passphrase_file: Path | None) -> None:
    """Firma una bozza di radice, sul computer del garante. Non serve altro che la bozza e la chiave."""
    from registry import ceremony
    from registry.founding import slug

    with expecting("la bozza scritta da «init» o da «root draft»", draft):
        payload = ceremony.root_payload(read_file(draft, ROOT_FILE_MAX))
    held = _guarantor(key, passphrase_file)
    target = out or draft.with_name(f"{draft.name.split('.')[0]}.firma-{slug(held.name)}.json")
    write_private(target, ceremony.sign_root(payload, [held]))
    _show_root(session, payload)
    session.show({"signature": str(target)}, f"Firma scritta: {target}")


def _show_root(session: Session, payload: bytes) -> None:
    """What is being signed, for a person to read."""
    from protocol.strict import decode
    from schemas.membership import Root

    what = decode(payload, Root, max_bytes=ROOT_FILE_MAX)
    if what.pilot:
        mark_pilot(True)
    session.tell(f"Radice {what.n} di «{what.name}», {what.threshold} firme su {len(what.guarantors)}:")
    for one in what.guarantors:
        session.tell(f"  {one.name}  {one.x}")


@root.command("install")
@click.argument("files", type=_file, nargs=-1, required=True, metavar="FIRMA…")
@pass_session
def root_install(session: Session, files: tuple[Path, ...]) -> None:
    """Mette in vigore una radice con le firme raccolte, anche in più sedute."""
    from registry.asking import Installed, Texts

    texts = Texts([read_file(path, ROOT_FILE_MAX).decode("utf-8", "replace") for path in files])
    with expecting("le firme scritte da «root sign»", *files):
        done = session.ask("root-install", texts, Installed)
    text = f"Radice {done.n} in vigore. Identificativo della rete, da stampare nel protocollo d'intesa:\n  {done.net}"
    session.show(done._asdict(), text)


@root.command("show")
@pass_session
def root_show(session: Session) -> None:
    """La radice in vigore e i garanti."""
    from protocol.strict import decode
    from registry.asking import Nothing, Text
    from registry.ceremony import root_payload
    from schemas.membership import Root

    texts = session.ask("root-show", Nothing(), list[Text])
    if not texts:
        raise ProtocolError("config-missing", field="root")
    newest = decode(root_payload(texts[-1].text.encode()), Root, max_bytes=ROOT_FILE_MAX)
    rows = [(one.name, one.x) for one in newest.guarantors]
    head = f"Radice {newest.n}, {newest.threshold} firme su {len(rows)}, fino al {_day(newest.exp)}"
    session.show(newest, f"{head}\n{terminal.table(('Garante', 'Impronta pubblica'), rows)}")


# -- who joins


@main.command()
@click.argument("node", required=False, metavar="[NOME-TECNICO]")
@click.option("--name", default="", help="Nome dell'ente, per memoria.")
@click.option("--out", type=_new, help="Dove scrivere l'invito.")
@pass_session
def invite(session: Session, node: str | None, name: str, out: Path | None) -> None:
    """Invita un ente: un file con un codice che vale una volta, per sette giorni."""
    from registry.asking import Invite
    from schemas.membership import Invitation

    made = session.ask("invite", Invite(node=node, name=name), Invitation)
    path = _write_invitation(made, out or Path(f"invito-{node or 'ente'}.json"))
    session.show({"file": str(path), "node": node, "exp": made.exp}, _invited([path]))


def _write_invitation(made: "Invitation", path: Path) -> Path:
    return write_private(path, msgspec.json.encode(made))


def _invited(paths: list[Path]) -> str:
    files = "\n".join(f"  {path}" for path in paths)
    return f"Invito scritto (riservato, vale una volta, sette giorni):\n{files}"


@main.command()
@click.argument("nodes", nargs=-1, required=True, metavar="NOME-TECNICO…")
@click.option("--by", required=True, help="L'ente che ha firmato per conto degli altri.")
@click.option("--out-dir", type=_folder, default=Path(), help="Dove scrivere gli inviti.")
@pass_session
def delegate(session: Session, nodes: tuple[str, ...], by: str, out_dir: Path) -> None:
    """Un atto per molti: invita gli enti per cui la capofila ha firmato il protocollo."""
    from registry.asking import Delegate
    from schemas.membership import Invitation

    made = session.ask("delegate", Delegate(by=by, nodes=list(nodes)), list[Invitation])
    paths = [_write_invitation(one, out_dir / f"invito-{node}.json") for node, one in zip(nodes, made, strict=True)]
    session.show({"files": [str(path) for path in paths], "by": by}, _invited(paths))


@main.command()
@click.argument("node", metavar="NOME-TECNICO")
@click.option("--out", type=_new, help="Dove scrivere l'invito.")
@pass_session
def readmit(session: Session, node: str, out: Path | None) -> None:
    """Invita a rientrare un ente sospeso o uscito: servirà una chiave nuova e la firma dei garanti."""
    from registry.asking import Node
    from schemas.membership import Invitation

    made = session.ask("readmit", Node(node), Invitation)
    path = _write_invitation(made, out or Path(f"invito-{node}.json"))
    session.show({"file": str(path), "node": node, "exp": made.exp}, _invited([path]))


@main.command()
@click.argument("refs", nargs=-1, metavar="[RICHIESTA]…")
@click.option("--export", "export_", type=_new, help="Scrive le richieste in un file da portare ai garanti.")
@click.option("--refuse", is_flag=True, help="Respinge le richieste indicate.")
@pass_session
def pending(session: Session, refs: tuple[str, ...], export_: Path | None, refuse: bool) -> None:
    """Le richieste di adesione in attesa, con le otto parole da confrontare al telefono."""
    from registry.asking import Nothing, Refs, Waiting
    from schemas.membership import PendingFile

    if refuse:
        if not refs:
            raise click.UsageError("Indicare quali richieste respingere.")
        session.ask("refuse", Refs(refs=list(refs)), Nothing)
        session.show({"refused": list(refs)}, "Respinte.")
        return
    if export_ is not None:
        file = session.ask("export", Refs(refs=list(refs)), PendingFile)
        write_private(export_, msgspec.json.encode(file))
        text = (
            f"{_count(len(file.items), 'richiesta', 'richieste')} in {export_}:"
            " da firmare con «approve» sul computer di un garante."
        )
        session.show({"file": str(export_), "count": len(file.items)}, text)
        return
    rows = session.ask("pending", Nothing(), list[Waiting])
    session.show(rows, "\n\n".join(_waiting(row) for row in rows) or "Nessuna richiesta in attesa.")


def _waiting(row: "Waiting") -> str:
    how = "con invito" if row.invited else "SENZA INVITO"
    lines = [
        f"{row.name} ({row.node}, {_ptype(row.ptype)}) – {how}, {_day(row.at)}",
        *([f"potrà: {_caps(row.caps)}"] if row.caps else []),
        *([f"firmato per conto da: {row.delegated_by}"] if row.delegated_by else []),
        f"richiesta: {row.ref}",
        f"otto parole: {row.words}",
    ]
    return "\n".join(
        (terminal.wrap(lines[0], after="  "), *(terminal.wrap(t, before="  ", after="    ") for t in lines[1:]))
    )


def _ptype(code: str) -> str:
    from schemas.vocabularies import label

    return label("participant_types", code)


def _caps(caps: Sequence[str]) -> str:
    return ", ".join(f"{CAPS[cap]} ({cap})" if cap in CAPS else cap for cap in caps)


def _comuni(codes: Sequence[str]) -> str:
    from schemas.vocabularies import table

    return ", ".join(table("comuni")[code]["name"] if code in table("comuni") else code for code in codes) or "–"


@main.command()
@click.argument("file", type=_file, metavar="FILE")
@click.option("--key", type=_file, required=True, help="File della chiave del garante.")
@click.option("--net", help="Identificativo della rete, come stampato nel protocollo d'intesa.")
@click.option("--ref", "refs", multiple=True, help="Solo questa richiesta (ripetibile).")
@click.option("--out", type=_new, help="Dove scrivere l'approvazione.")
@click.option("--passphrase-file", type=_file, help="File con la frase segreta della chiave.")
@click.option("--yes", is_flag=True, help="Senza chiedere conferma.")
@pass_session
def approve(
    session: Session, file: Path, key: Path, net: str | None, refs: tuple[str, ...], out: Path | None,
    passphrase_file: Path | None, yes: bool,
) -> None:  # fmt: skip
    """Il garante guarda le richieste e firma, sul proprio computer: bastano il file e la chiave."""
    from protocol.suite import S1
    from registry.approval import approve as sign
    from registry.approval import read_pending

    with expecting("il file scritto da «pending --export»", file):
        exported = read_pending(read_file(file, APPROVAL_MAX), S1, net=net)
    held = _guarantor(key, passphrase_file)
    if held.public.x not in {one.x for one in exported.root.root.guarantors}:
        raise ProtocolError("not-a-guarantor", field=held.name)
    if exported.root.pilot:
        mark_pilot(True)
    chosen = [one for one in exported.reviews if not refs or one.ref in refs]
    session.tell(f"Rete «{exported.root.root.name}»: {exported.root.net}")
    if net is None:
        session.tell("Confrontare l'identificativo con quello stampato nel protocollo d'intesa.")
    for review in chosen:
        session.tell(_review(review))
    if not yes and not ask_yes(f"Firmare {_count(len(chosen), 'ammissione', 'ammissioni')}?", default=False):
        raise click.Abort
    signed = sign(exported, held, refs)
    target = out or file.with_name(f"{file.stem}.approvato.json")
    write_private(target, msgspec.json.encode(signed))
    result = {"file": str(target), "count": len(signed.items), "pilot": exported.root.pilot}
    session.show(
        result,
        f"Firmate: {_count(len(signed.items), 'ammissione', 'ammissioni')} in {target}\n"
        "Riportare il file sul server: «admit».",
    )


def _review(review: "Review") -> str:
    from registry.approval import POWERS
    from registry.commands import words

    entry = review.admission
    powers = [cap for cap in entry.caps if cap in POWERS]
    lines = [
        f"\n{entry.name} ({entry.node}, {_ptype(entry.ptype)}){'' if review.invited else ' – SENZA INVITO'}",
        f"  otto parole: {words(entry.first)}",
        terminal.wrap(f"territorio: {_comuni(entry.territory)}", before="  ", after="    "),
        f"  protocollo d'intesa: versione {entry.protocol.version}",
    ]
    if powers:
        lines.append(f"  potrà: {_caps(powers)}")
    if entry.delegated_by:
        lines.append(f"  firmato per conto da: {entry.delegated_by}")
    if entry.recovery:
        lines.append(f"  otto parole della chiave d'emergenza: {words(entry.recovery)}")
    return "\n".join(lines)


@main.command()
@click.argument("files", type=_file, nargs=-1, required=True, metavar="FILE…")
@pass_session
def admit(session: Session, files: tuple[Path, ...]) -> None:
    """Ammette gli enti approvati dai garanti (uno o più file, uno per garante)."""
    from registry.asking import Admitted, Texts

    texts = Texts([read_file(path, APPROVAL_MAX).decode("utf-8", "replace") for path in files])
    with expecting("il file scritto da «approve»", *files):
        done = session.ask("admit", texts, Admitted)
    names = ", ".join(done.nodes) or "nessuno di nuovo"
    text = terminal.wrap(f"Ammessi: {names}. Elenco degli aderenti n. {done.version}.", after="  ")
    session.show(done._asdict(), text)


@main.command()
@click.argument("node", metavar="NOME-TECNICO")
@click.option("--name", help="Nuovo nome dell'ente.")
@click.option("--ptype", help="Nuovo tipo di ente.")
@click.option("--cap", "caps", multiple=True, help="Capacità (ripetibile; sostituisce l'elenco).")
@click.option("--territory", multiple=True, help="Comune, codice ISTAT (ripetibile; sostituisce l'elenco).")
@click.option("--protocol", help="Versione del protocollo accettata.")
@click.option("--emergency", help="Chiave d'emergenza dell'ente, come la mostra «keys emergency».")
@pass_session
def amend(
    session: Session, node: str, name: str | None, ptype: str | None, caps: tuple[str, ...],
    territory: tuple[str, ...], protocol: str | None, emergency: str | None,
) -> None:  # fmt: skip
    """Prepara il cambio di nome o di dati di un aderente; vale quando i garanti lo firmano."""
    from registry.asking import Amend, Text

    change = Amend(
        node=node,
        name=name,
        ptype=ptype,
        caps=list(caps) or None,
        territory=list(territory) or None,
        protocol=protocol,
        recovery=emergency,
    )
    made = session.ask("amend", change, Text)
    session.show({"ref": made.text}, f"Richiesta {made.text} in attesa dei garanti: «pending --export».")


def _status_command(name: str, doc: str, done: str) -> None:
    @main.command(name, help=doc)
    @click.argument("node", metavar="NOME-TECNICO")
    @pass_session
    def change(session: Session, node: str) -> None:
        from registry.asking import Node

        version = session.ask(name, Node(node), int)
        session.show({"node": node, "version": version}, f"{node}: {done}. Elenco degli aderenti n. {version}.")


_status_command("suspend", "Sospende un ente: gli altri lo rifiutano e le sue voci spariscono dalla mappa.", "sospeso")
_status_command("end", "Registra l'uscita di un ente: le sue voci sono tolte dalla mappa.", "uscito")


# -- what there is


@main.command()
@pass_session
def members(session: Session) -> None:
    """Gli aderenti con il loro stato, chi ha un protocollo vecchio, che cosa sta per scadere."""
    from registry.asking import Members, Nothing

    held = session.ask("members", Nothing(), Members)
    session.show(held, _members(held))


def _members(held: "Members") -> str:
    rows = [
        (
            row.node, row.name, STATES[row.status], _day(row.since),
            row.protocol + (" (superata)" if row.outdated else ""), f"{row.public_rev}/{row.network_rev}",
        )
        for row in held.members
    ]  # fmt: skip
    head = f"{held.network} – elenco n. {held.version}, valido fino al {_day(held.exp)}"
    table = terminal.table(("Nome tecnico", "Ente", "Stato", "Dal", "Protocollo", "Catalogo"), rows)
    old = [f"ATTENZIONE: {row.node} ha accettato il protocollo {row.protocol}" for row in held.members if row.outdated]
    return "\n".join([head, table, *old, *(_warning(one) for one in held.warnings)])


def _warning(one: "Expiry") -> str:
    from registry.checks import WHAT_ENDS

    whose = f" di {one.node}" if one.node else ""
    when = (
        f"scade fra {_count(one.days, 'giorno', 'giorni')} ({_day(one.exp)})"
        if one.level
        else f"è scaduto il {_day(one.exp)}"
    )
    return f"ATTENZIONE: {WHAT_ENDS[one.what]}{whose} {when}"


@main.command()
@click.option("--add", type=_file, help="Aggiunge una versione: il documento firmato.")
@click.option("--version", help="Etichetta della versione.")
@click.option("--get", is_flag=True, help="Scrive il documento di una versione.")
@click.option("--out", type=_new, help="Dove scriverlo.")
@pass_session
def protocols(session: Session, add: Path | None, version: str | None, get: bool, out: Path | None) -> None:
    """Le versioni del protocollo d'intesa, con impronta e chi le ha accettate."""
    from base64 import b64decode, b64encode

    from registry.asking import NewProtocol, Nothing, ProtocolRow, Version
    from registry.setup import read_document
    from schemas.membership import ProtocolVersion

    if (add is not None or get) and version is None:
        raise click.UsageError("Serve anche --version.")
    if add is not None and version is not None:
        read_file(add, DOCUMENT_MAX)
        document = read_document(add, version)
        new = NewProtocol(version=version, media=document.media, document=b64encode(document.raw).decode())
        kept = session.ask("protocol-add", new, ProtocolVersion)
        session.show(kept, f"Versione {kept.version}, impronta {kept.hash}")
    elif get and version is not None:
        held = session.ask("protocol-get", Version(version), NewProtocol)
        path = write_private(out or Path(f"protocollo-{version}"), b64decode(held.document))
        session.show({"file": str(path), "media": held.media}, f"Scritto {path} ({held.media})")
    else:
        rows = session.ask("protocols", Nothing(), list[ProtocolRow])
        text = terminal.table(
            ("Versione", "Impronta", "Dal", "Accettata da"),
            [(row.version, row.hash, _day(row.at), ", ".join(row.accepted_by) or "–") for row in rows],
        )
        session.show(rows, text if rows else "Nessuna versione depositata: «protocols --add FILE --version 1».")


@main.command()
@click.argument("hashes", nargs=-1, required=True, metavar="IMPRONTA…")
@pass_session
def withdraw(session: Session, hashes: tuple[str, ...]) -> None:
    """Ritira una voce pubblicata, subito e ovunque; nel registro resta che è stata ritirata."""
    from registry.asking import Refs

    places = session.ask("withdraw", Refs(refs=list(hashes)), list[int])
    session.show({"seq": places}, f"Ritirate: {_count(len(places), 'voce', 'voci')}.")


@main.command(name="map")
@click.option("--members", "members_", is_flag=True, help="Anche le voci per la sola rete.")
@pass_session
def map_(session: Session, members_: bool) -> None:
    """La mappa, una voce per riga (NDJSON)."""
    from registry.asking import MapView, Text

    text = session.ask("map", MapView(members=members_), Text).text
    if text:
        terminal.show(text.rstrip("\n"))


@main.command()
@click.option("--offline", is_flag=True, help="Solo questo computer: non chiama nessun indirizzo.")
@pass_session
def doctor(session: Session, offline: bool) -> None:
    """Controlla questo computer e la bacheca, e dice che cosa fare."""
    from registry.checks import check

    results, status = check(session, offline)
    value = {"checks": [result._asdict() for result in results], "status": status}
    session.show(value, _findings(results, status))
    if any(result.grade == "fail" for result in results):
        raise SystemExit(terminal.REFUSED)


def _findings(results: "list[Result]", status: "Status | None") -> str:
    lines = [findings(results)]
    if status is not None:
        bodies = _count(status.members, "aderente", "aderenti")
        lines += ["", f"Rete «{status.name}», radice {status.root}, {bodies}.", f"Identificativo: {status.net}"]
    return "\n".join(lines)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _day(at: int) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(at, ZoneInfo("Europe/Rome")).strftime("%d/%m/%Y")


for command in (*cli_apps.COMMANDS, *cli_backup.COMMANDS, *cli_recovery.COMMANDS):
    main.add_command(command)


if __name__ == "__main__":
    main()
