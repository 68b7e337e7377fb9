"""recovery: a guarantor signs, on their own computer, for a body that lost its keys. The rules are in recovery."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from node.runtime.cli_kit import InFile, ItalianCommand, OutFile, ask_yes, expecting
from registry.cli_kit import Session, mark_pilot, read_file, write_private

if TYPE_CHECKING:
    from registry.ceremony import GuarantorKey

pass_session = click.make_pass_decorator(Session)


def guarantor(key: Path, passphrase_file: Path | None) -> "GuarantorKey":
    """A guarantor's key from its file. Raises keys-damaged, bad-passphrase, bad-key."""
    from node.runtime.config import load_secret
    from protocol.suite import S1
    from registry.ceremony import KEY_FILE_MAX, read_key

    secret = load_secret(passphrase_file) if passphrase_file else None
    with expecting("la chiave di un garante (….chiave.json)", key):
        return read_key(read_file(key, KEY_FILE_MAX), S1, secret)


@click.command(
    "recovery", cls=ItalianCommand, short_help="Un garante firma la chiave nuova di un ente che ha perso le sue."
)
@click.argument("file", type=InFile(), metavar="FILE")
@click.option("--key", type=InFile(), required=True, help="File della chiave del garante.")
@click.option("--net", help="Identificativo della rete, come stampato nel protocollo d'intesa.")
@click.option("--out", type=OutFile(), help="Dove scrivere il file firmato.")
@click.option("--passphrase-file", type=InFile(), help="File con la frase segreta della chiave.")
@click.option("--yes", is_flag=True, help="Senza chiedere conferma.")
@pass_session
def recovery(
    session: Session, file: Path, key: Path, net: str | None, out: Path | None, passphrase_file: Path | None, yes: bool
) -> None:
    """Prima si telefona all'ente, a un numero che si conosce, e si confrontano le otto parole; poi si firma.

    Bastano il file («keys recover --request» dell'ente) e la chiave del garante. Le firme dei garanti si aggiungono una
    all'altra nello stesso file; quando sono abbastanza, l'ente lo riporta con «keys recover --signed».
    """
    from protocol.suite import S1
    from registry.commands import words
    from registry.recovery import FILE_MAX, count, read_request, sign

    with expecting("il file scritto da «keys recover --request»", file):
        asked = read_request(read_file(file, FILE_MAX), S1, net=net)
    held = guarantor(key, passphrase_file)
    if asked.root.pilot:
        mark_pilot(True)
    session.tell(f"Rete «{asked.root.root.name}»: {asked.root.net}")
    if net is None:
        session.tell("Confrontare l'identificativo con quello stampato nel protocollo d'intesa.")
    session.tell(f"{asked.file.name} ({asked.file.node}) chiede una chiave nuova al posto di quella persa.")
    session.tell(f"  otto parole della chiave nuova: {words(asked.statement.x)}")
    if not yes and not ask_yes("Le parole corrispondono, sentite al telefono? Firmare?", default=False):
        raise click.Abort
    signed = sign(asked, held)
    target = out or file.with_name(f"{file.stem}.firmato.json")
    write_private(target, msgspec.json.encode(signed))
    have, need = count(asked._replace(file=signed)), asked.root.root.threshold
    more = (
        "Adesso l'ente: «keys recover --signed FILE»." if have >= need else f"Firme ancora necessarie: {need - have}."
    )
    session.show({"file": str(target), "signatures": have, "needed": need}, f"Firmato: {target}\n{more}")


COMMANDS: Final = (recovery,)
