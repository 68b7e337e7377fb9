"""export, leave: the body's own data in open formats, and going away with them. Shows, decides nothing."""

from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from node import requests as ask
from node.cli_kit import InFile, ItalianCommand, OutFile, Session, as_option, pass_session
from node.runtime import cli_backup, terminal
from node.runtime.cli_kit import ask_yes

SECONDS: Final = 3600.0


class _Exported(Struct):
    path: str
    cases: int
    documents: int
    unread: int
    tables: dict[str, int]
    sealed: bool


class _Left(Struct):
    received: int
    sent: int
    queued: int
    status: str | None


@click.command("export", cls=ItalianCommand, short_help="Tutti i dati dell'ente in un file di formati aperti.")
@click.option("--out", type=OutFile(), required=True, help="Il file da scrivere (.zip, o .cifrato con --seal).")
@click.option("--as", "as_", metavar="CODICE", help="Codice del responsabile che esporta.")
@click.option("--seal", is_flag=True, help="Cifrato: chiede una frase segreta, o usa --passphrase-file o --key-file.")
@click.option("--open", "opened", type=InFile(), help="Apre un'esportazione cifrata e ne scrive lo ZIP in --out.")
@click.option("--passphrase-file", type=InFile(), help="File (0600) con la frase segreta, in una riga.")
@click.option("--key-file", type=InFile(), help="File di una chiave di recupero, al posto della frase.")
@pass_session
def export(
    session: Session, out: Path, as_: str | None, seal: bool, opened: Path | None, passphrase_file: Path | None,
    key_file: Path | None,
) -> None:  # fmt: skip
    """Casi con i loro testi, catalogo, pubblicazioni, operatori, registro degli accessi, ricevute: JSON dentro uno ZIP.

    Chi ha il file legge tutto: cifrarlo, e cancellarlo quando non serve più. Non contiene chiavi private e non si può
    ripristinare: per quello c'è «backup». Resta nel registro degli accessi chi l'ha fatto.
    """
    if opened is not None:
        from node.exporting import unseal

        unseal(opened, cli_backup.secret_for(passphrase_file, key_file, None, twice=False), out)
        terminal.show_json({"path": str(out)}) if session.json else terminal.show(f"Aperta: {out}")
        return
    if as_ is None:
        raise click.UsageError("Serve --as CODICE.")
    sealed = seal or passphrase_file is not None or key_file is not None
    secret = cli_backup.secret_for(passphrase_file, key_file, None, twice=True) if sealed else None
    request = ask.Export(
        path=str(out.absolute()), as_=as_, sealed=sealed,
        passphrase=secret.value.decode() if secret is not None and secret.kind == "passphrase" else None,
        key=secret.value if secret is not None and secret.kind == "key-file" else None,
    )  # fmt: skip
    session.show(session.call("export", request, timeout=SECONDS), _Exported, _exported)


def _exported(done: _Exported) -> str:
    rows = sum(done.tables.values())
    lines = [f"Scritto {done.path}: {done.cases} invii, {done.documents} documenti, {rows} righe di tabelle."]
    if done.unread:
        lines.append(f"Di {done.unread} invii mancano i testi: il ruolo di chi esporta non li può leggere.")
    if not done.sealed:
        lines.append("NON è cifrato: contiene dati di persone.")
    return "\n".join(lines)


@click.command("leave", cls=ItalianCommand, short_help="L'ente lascia la rete.")
@as_option(required=True)
@click.option("--anyway", is_flag=True, help="Anche con invii aperti o in partenza: gli altri li chiuderanno.")
@click.option("--yes", metavar="ENTE", help="Senza chiedere conferma: il nome tecnico dell'ente.")
@pass_session
def leave(session: Session, as_: str, anyway: bool, yes: str | None) -> None:
    """Lo dice alla bacheca: le voci spariscono dalla mappa, gli altri uffici lo vedono e chiudono ciò che era aperto.

    Prima: concludere gli invii e fare «export». I dati restano su questo computer. Per rientrare servono un nuovo
    invito e la firma dei garanti. Il programma deve essere in funzione.
    """
    confirm = yes or _node(session)
    if yes is None and not ask_yes(f"{confirm} lascia la rete. Sicuri?", default=False):
        raise click.Abort
    session.show(session.call("leave", ask.Leave(as_=as_, anyway=anyway, confirm=confirm)), _Left, _left)


def _node(session: Session) -> str:
    from node.enrolment import CONFIG_NAME
    from node.runtime.config import NodeConfig, load_config

    return load_config(session.data_dir / CONFIG_NAME, NodeConfig).bodies[0].id


def _left(left: _Left) -> str:
    lines = ["Fuori dalla rete." if left.status == "ended" else "Detto alla bacheca: l'elenco lo mostrerà a momenti."]
    if left.received or left.sent:
        lines.append(f"Restano aperti {left.received} invii ricevuti e {left.sent} mandati: telefonare agli uffici.")
    return "\n".join(lines)


COMMANDS: Final = (export, leave)
