"""backup, backup verify, backup key, restore, seen: copies of an installation, and coming back from one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from node import requests as ask
from node.cli_kit import ItalianCommand, ItalianGroup, OutFile, Session, pass_session
from node.cli_setup import CONFIG_NAME
from node.runtime import backup_state, cli_backup, terminal
from node.runtime.backup_state import Backup, Made
from node.runtime.cli_kit import Folder, InFile, json_option
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from node.backups import Contents
    from node.runtime.config import NodeConfig
    from node.runtime.restore import Restored

SECONDS: Final = 3600.0  # a copy of a large store to a slow disk
_PASSPHRASE: Final = click.option(
    "--passphrase-file", type=InFile(), help="File (0600) con la frase segreta della copia, in una riga."
)
_KEY: Final = click.option("--key-file", type=InFile(), help="File della chiave di recupero, al posto della frase.")


def _config(session: Session) -> "NodeConfig":
    from node.runtime.config import NodeConfig, load_config

    return load_config(session.data_dir / CONFIG_NAME, NodeConfig)


@click.group("backup", cls=ItalianGroup, invoke_without_command=True, short_help="Copia di sicurezza cifrata.")
@click.option("--to", type=Folder(), help="Cartella della copia; se manca, quella della configurazione.")
@_PASSPHRASE
@_KEY
@click.pass_context
def backup(ctx: click.Context, to: Path | None, passphrase_file: Path | None, key_file: Path | None) -> None:
    """Fa una copia di archivio, chiavi e configurazione, anche mentre il programma lavora: un solo file cifrato.

    La frase segreta si scrive alla domanda o sta in un file: mai nella riga di comando. Senza di essa la copia non
    si apre più.
    """
    if ctx.invoked_subcommand is None:
        _backup(ctx.find_object(Session) or Session(Path()), to, passphrase_file, key_file)


backup.params.append(json_option())


def _backup(session: Session, to: Path | None, passphrase_file: Path | None, key_file: Path | None) -> None:
    from node.runtime.backup_turn import asked

    config = _config(session)
    target = to or (Path(config.backup.to) if config.backup.to else None)
    if target is None:
        raise ProtocolError("backup-unset", field="to")
    secret = cli_backup.secret_for(passphrase_file, key_file, config.backup, twice=True)
    session.show(_make(session, config, asked(target, secret)), Made, cli_backup.made_text)


def _make(session: Session, config: "NodeConfig", request: Backup) -> bytes:
    """By the process that runs, else on the store opened here."""
    from node.runtime import local

    try:
        return local.command(session.data_dir, "backup", msgspec.json.encode(request), timeout=SECONDS)
    except ProtocolError as problem:
        if problem.code != "not-running":
            raise
    from node import backups
    from node.runtime.clock import SystemClock

    return msgspec.json.encode(backups.make_offline(config, request, SystemClock().now()))


@backup.command("verify", short_help="Prova una copia aprendola tutta.")
@click.argument("file", metavar="FILE", type=InFile())
@click.option("--keys", type=InFile(), help="Copia delle sole chiavi, più recente, da usare insieme.")
@_PASSPHRASE
@_KEY
@pass_session
def verify(
    session: Session, file: Path, keys: Path | None, passphrase_file: Path | None, key_file: Path | None
) -> None:
    """Apre la copia in una cartella provvisoria, la controlla come per ripristinarla, e dice che cosa tornerebbe.

    Non cambia nulla dell'installazione.
    """
    from node import backups
    from node.runtime.clock import SystemClock

    held = _config(session).backup if (session.data_dir / CONFIG_NAME).exists() else None
    secret = cli_backup.secret_for(passphrase_file, key_file, held, twice=False)
    now = SystemClock().now()
    near = session.data_dir if session.data_dir.is_dir() else file.absolute().parent
    found = backups.verify(file, secret, near, keys)
    if held is not None and _own(session) == found.member:
        state = backup_state.load(session.data_dir)
        fresh = msgspec.structs.replace(state, verified_at=now, verified=str(file.absolute()))
        backup_state.save(session.data_dir, fresh)
    _show(session, found, _contents(found, "La copia si apre e si controlla per intero. Tornerebbero:"))


def _own(session: Session) -> str:
    return _config(session).bodies[0].id


@backup.command("key", short_help="Crea una chiave di recupero, al posto di una frase segreta.")
@click.option("--out", required=True, type=OutFile(), help="Dove scriverla: una chiavetta, non questo computer.")
@pass_session
def key(session: Session, out: Path) -> None:
    """Scrive un file con una chiave casuale: chi lo ha apre le copie fatte con esso, senza non si aprono più."""
    from node.runtime.dice import SystemDice
    from node.runtime.platform import replace_private
    from node.runtime.sealed_file import key_file_text

    if out.exists():
        raise ProtocolError("file-exists", field=str(out))
    replace_private(out, key_file_text(SystemDice().bytes(32)))
    terminal.show_json({"file": str(out)}) if session.json else terminal.show(f"Chiave di recupero scritta: {out}")


@click.command("restore", cls=ItalianCommand, short_help="Rimette in funzione un'installazione da una copia.")
@click.argument("file", metavar="[FILE]", type=InFile(), required=False)
@click.option("--into", type=Folder(), help="Cartella in cui rimetterla; se manca, --dir.")
@click.option("--replace", is_flag=True, help="Mette da parte l'installazione che c'è già nella cartella.")
@click.option("--keys", type=InFile(), help="Copia delle sole chiavi, più recente, da usare insieme.")
@_PASSPHRASE
@_KEY
@click.option("--confirm-peer", metavar="ENTE", help="Dopo il ripristino: a questo ente si è telefonato.")
@click.option("--as", "as_", metavar="CODICE", help="Con --confirm-peer: codice dell'operatore che ha telefonato.")
@pass_session
def restore(session: Session, /, file: Path | None, confirm_peer: str | None, as_: str | None, **given: Any) -> None:
    """Rimette archivio, chiavi e configurazione come nella copia, tutto o niente; il programma dev'essere fermo.

    Dopo, sui casi già aperti con un altro ente non si scrive nulla finché quell'ente non ha detto che cosa è
    cambiato, o una persona gli ha telefonato (--confirm-peer). Nuovi invii si possono fare.
    """
    if confirm_peer is not None:
        _confirm(session, confirm_peer, as_)
        return
    if file is None:
        raise click.UsageError("Manca il file della copia.")
    _bring_back(session, file, **given)


def _confirm(session: Session, node: str, as_: str | None) -> None:
    if as_ is None:
        raise click.UsageError("Con --confirm-peer serve --as CODICE.")
    raw = session.call("confirm-peer", ask.ConfirmPeer(node=node, as_=as_))
    session.show(raw, dict[str, Any], lambda left: _left(list(left["waiting"])))


def _left(waiting: list[str]) -> str:
    if not waiting:
        return "Fatto. Nessun altro ente da sentire: si lavora come prima."
    return f"Fatto. Restano da sentire: {', '.join(waiting)}."


def _bring_back(
    session: Session, file: Path, *, into: Path | None, replace: bool, keys: Path | None,
    passphrase_file: Path | None, key_file: Path | None,
) -> None:  # fmt: skip
    from node import backups
    from node.runtime.clock import SystemClock

    secret = cli_backup.secret_for(passphrase_file, key_file, None, twice=False)
    target, now = into or session.data_dir, SystemClock().now()
    made, found = backups.bring_back(file, secret, target, now, replace=replace, keys=keys)
    text = "\n".join((_contents(found, f"Rimesso in {made.into}:"), *_after(made)))
    _show(session, made, text)


def _after(made: "Restored") -> list[str]:
    lines = []
    if made.before is not None:
        lines.append(f"L'installazione di prima è in {made.before}: toglierla quando tutto va.")
    if made.erased:
        lines.append(f"Cancellati di nuovo {made.erased} invii che erano stati cancellati dopo la copia.")
    if made.waiting:
        lines += [
            "",
            "Ciò che è successo dopo la copia qui non c'è. Enti da sentire, uno per uno:",
            *(f"  {node}" for node in made.waiting),
            "Finché non si sono sentiti, sui casi già aperti con loro non si scrive nulla.",
            "A telefonata fatta: restore --confirm-peer ENTE --as CODICE",
        ]
    return lines


def _contents(found: "Contents", head: str) -> str:
    whose = found.name if found.name == found.member else f"{found.name} ({found.member})"
    network = f"rete «{found.network}», elenco n. {found.version}" if found.network else "non ancora in una rete"
    lines = [
        head,
        f"  {whose}, {network}",
        f"  com'era il {cli_backup.moment(found.at)}",
        f"  invii: {found.cases}, di cui aperti {found.open_cases}; passaggi: {found.events}; in coda: {found.queue}",
        f"  voci del catalogo: {found.entries}; operatori: {found.operators}",
        f"  testi cifrati provati con la chiave della copia: {found.sampled}",
    ]
    if found.keys:
        lines.append("  ATTENZIONE: le chiavi non sono quelle che l'elenco indica per noi. Se dopo la copia sono")
        lines.append("  cambiate, usare anche la copia delle chiavi: --keys FILE.")
    return "\n".join(lines)


def _show(session: Session, value: object, text: str) -> None:
    if session.json:
        terminal.show_json(msgspec.to_builtins(value))
    else:
        terminal.show(terminal.narrow(text))


@click.command("seen", cls=ItalianCommand, short_help="Scrive che cosa si è visto della bacheca d'Ambito.")
@click.option("--out", required=True, type=OutFile(), help="Dove scriverlo.")
@pass_session
def seen(session: Session, out: Path) -> None:
    """Per chi tiene la bacheca, quando è tornata da una copia: l'ultimo elenco e l'ultimo sigillo di questo ente."""
    from node.runtime.platform import replace_private

    raw = session.call("seen", ask.Nothing())
    replace_private(out, raw)
    terminal.show_json({"file": str(out)}) if session.json else terminal.show(f"Scritto {out}: mandarlo alla capofila.")


COMMANDS: Final = (backup, restore, seen)
