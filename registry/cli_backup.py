"""backup, backup verify, backup key, restore: copies of a registry, and coming back from one."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from node.runtime import backup_state, cli_backup
from node.runtime.backup_state import Backup, Made
from node.runtime.cli_kit import Folder, InFile, ItalianCommand, OutFile, Whole, expecting, json_option, read_json
from protocol.errors import ProtocolError
from registry.cli_kit import CONFIG_NAME, Group, Session

if TYPE_CHECKING:
    from node.runtime.config import RegistryConfig
    from registry.backups import Contents

SECONDS: Final = 3600.0
pass_session = click.make_pass_decorator(Session)
_PASSPHRASE: Final = click.option(
    "--passphrase-file", type=InFile(), help="File (0600) con la frase segreta della copia, in una riga."
)
_KEY: Final = click.option("--key-file", type=InFile(), help="File della chiave di recupero, al posto della frase.")


def _config(session: Session) -> "RegistryConfig":
    from node.runtime.config import RegistryConfig, load_config

    return load_config(session.data_dir / CONFIG_NAME, RegistryConfig)


@click.group("backup", cls=Group, invoke_without_command=True, short_help="Copia di sicurezza cifrata.")
@click.option("--to", type=Folder(), help="Cartella della copia; se manca, quella della configurazione.")
@_PASSPHRASE
@_KEY
@click.pass_context
def backup(ctx: click.Context, to: Path | None, passphrase_file: Path | None, key_file: Path | None) -> None:
    """Fa una copia di registro pubblico, elenco, cataloghi, caselle e chiavi del server: un solo file cifrato.

    Anche mentre la bacheca lavora. Le chiavi dei garanti non ci sono: non stanno mai qui.
    """
    session = ctx.find_object(Session)
    if ctx.invoked_subcommand is not None or session is None:
        return
    from node.runtime.backup_turn import asked

    config = _config(session)
    target = to or (Path(config.backup.to) if config.backup.to else None)
    if target is None:
        raise ProtocolError("backup-unset", field="to")
    secret = cli_backup.secret_for(passphrase_file, key_file, config.backup, twice=True)
    made = msgspec.json.decode(_make(session, config, asked(target, secret)), type=Made)
    session.show(made, cli_backup.made_text(made))


backup.params.append(json_option())


def _make(session: Session, config: "RegistryConfig", request: Backup) -> bytes:
    from node.runtime import local

    try:
        return local.command(session.data_dir, "backup", msgspec.json.encode(request), timeout=SECONDS)
    except ProtocolError as problem:
        if problem.code != "not-running":
            raise
    from node.runtime.clock import SystemClock
    from registry import backups

    return msgspec.json.encode(backups.make_offline(config, request, SystemClock().now()))


@backup.command("verify")
@click.argument("file", metavar="FILE", type=InFile())
@click.option("--keys", type=InFile(), help="Copia delle sole chiavi, più recente, da usare insieme.")
@_PASSPHRASE
@_KEY
@pass_session
def verify(
    session: Session, file: Path, keys: Path | None, passphrase_file: Path | None, key_file: Path | None
) -> None:
    """Apre la copia in una cartella provvisoria, la controlla come per ripristinarla, e dice che cosa tornerebbe."""
    from node.runtime.clock import SystemClock
    from registry import backups

    held = _config(session) if (session.data_dir / CONFIG_NAME).exists() else None
    secret = cli_backup.secret_for(passphrase_file, key_file, held.backup if held else None, twice=False)
    near = session.data_dir if session.data_dir.is_dir() else file.absolute().parent
    found = backups.verify(file, secret, near, keys)
    if held is not None and held.bodies[0].id == found.id:
        state = backup_state.load(session.data_dir)
        now = SystemClock().now()
        fresh = msgspec.structs.replace(state, verified_at=now, verified=str(file.absolute()))
        backup_state.save(session.data_dir, fresh)
    session.show(found, _contents(found, "La copia si apre e si controlla per intero. Tornerebbero:"))


@backup.command("key")
@click.option("--out", required=True, type=OutFile(), help="Dove scriverla: una chiavetta, non questo computer.")
@pass_session
def key(session: Session, out: Path) -> None:
    """Scrive una chiave di recupero casuale: chi la ha apre le copie fatte con essa, senza non si aprono più."""
    from node.runtime.dice import SystemDice
    from node.runtime.sealed_file import key_file_text
    from registry.cli_kit import write_private

    write_private(out, key_file_text(SystemDice().bytes(32)))
    session.show({"file": str(out)}, f"Chiave di recupero scritta: {out}")


@click.command("restore", cls=ItalianCommand)
@click.argument("file", metavar="[FILE]", type=InFile(), required=False)
@click.option("--into", type=Folder(), help="Cartella in cui rimetterla; se manca, --dir.")
@click.option("--replace", is_flag=True, help="Mette da parte la bacheca che c'è già nella cartella.")
@click.option("--keys", type=InFile(), help="Copia delle sole chiavi, più recente, da usare insieme.")
@_PASSPHRASE
@_KEY
@click.option("--seen", type=InFile(), help="Dopo il ripristino: il file «raccordo-node seen» di un ente.")
@click.option("--seen-log", type=Whole(), help="Al posto del file: quante voci ha il registro visto dagli enti.")
@click.option("--seen-version", type=Whole(), help="Con --seen-log: il numero dell'elenco più recente visto.")
@pass_session
def restore(
    session: Session, /, file: Path | None, into: Path | None, replace: bool, keys: Path | None,
    passphrase_file: Path | None, key_file: Path | None, seen: Path | None, seen_log: int | None,
    seen_version: int | None,
) -> None:  # fmt: skip
    """Rimette la bacheca com'era nella copia, tutto o niente; il programma dev'essere fermo.

    Dopo, non firma nulla finché non sa che cosa gli enti hanno già visto: con --seen, oppure, parola di una persona,
    con --seen-log e --seen-version. Se gli enti hanno visto di più, serve una copia più recente.
    """
    if seen is not None or seen_log is not None:
        _told(session, seen, seen_log, seen_version)
        return
    if file is None:
        raise click.UsageError("Manca il file della copia.")
    from node.runtime.clock import SystemClock
    from registry import backups

    secret = cli_backup.secret_for(passphrase_file, key_file, None, twice=False)
    target, now = into or session.data_dir, SystemClock().now()
    made = backups.bring_back(file, secret, target, now, replace=replace, keys=keys)
    lines = [_contents(made.contents, f"Rimessa in {made.into}:")]
    if made.before is not None:
        lines.append(f"La bacheca di prima è in {made.before}: toglierla quando tutto va.")
    lines += [
        "",
        "Non firma nulla finché non sa che cosa gli enti hanno già visto. Adesso:",
        "  1. un ente, meglio due: raccordo-node seen --out visto.json",
        f"  2. qui: raccordo-registry --dir {made.into} restore --seen visto.json",
        "  3. serve",
    ]
    session.show(made, "\n".join(lines))


def _told(session: Session, seen: Path | None, size: int | None, version: int | None) -> None:
    from registry.asking import Nothing
    from registry.restored import Seen, SeenNumbers

    if seen is not None:
        with expecting("il file «seen» di un ente", seen):
            session.ask("seen", read_json(seen, Seen), Nothing)
    elif size is not None and version is not None:
        session.ask("seen-numbers", SeenNumbers(log=size, version=version), Nothing)
    else:
        raise click.UsageError("Con --seen-log serve anche --seen-version.")
    session.show({"open": True}, "Gli enti non hanno visto di più: la bacheca può firmare di nuovo. Adesso: serve")


def _contents(found: "Contents", head: str) -> str:
    whose = f"«{found.name}» ({found.id})" if found.name else f"{found.id}, rete non ancora fondata"
    return "\n".join(
        (
            head,
            f"  bacheca {whose}",
            f"  com'era il {cli_backup.moment(found.at)}",
            f"  registro pubblico: {found.log} voci; elenco n. {found.version}, enti: {found.members}",
            f"  oggetti: {found.objects}; richieste in attesa: {found.waiting}",
        )
    )


COMMANDS: Final = (backup, restore)
