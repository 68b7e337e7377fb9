"""apps: the other programs that may call this one, and where they find it. Shows, decides nothing."""

from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from node import requests as ask
from node.api import requests as api
from node.api.scopes import SCOPES
from node.cli_cases import clock
from node.cli_kit import ItalianGroup, OneOf, Session, Whole, as_option, pass_session
from node.runtime import terminal

CONFIG_NAME: Final = "raccordo.toml"
STATES: Final = {"active": "attiva", "expired": "SCADUTA", "revoked": "REVOCATA"}


class _App(Struct):
    id: str
    scopes: list[str]
    added: int
    expires: int
    state: str


class _Issued(Struct):
    app: _App
    token: str


@click.group("apps", cls=ItalianGroup, short_help="Gli altri programmi che possono chiamare questo.")
def apps() -> None:
    """Le applicazioni dell'ente (il gestionale della cartella sociale, un sito) che usano questo programma.

    Ognuna ha un nome, i permessi che le servono e una scadenza. Non può mai dire che una persona ha aperto un invio.
    """


@apps.command("add", short_help="Nuova applicazione: mostra il suo token, una volta sola.")
@click.argument("name", metavar="NOME")
@click.option(
    "--scope", "scopes", type=OneOf(*SCOPES), multiple=True, required=True, help="Un permesso. Si può ripetere."
)
@click.option("--days", type=Whole(), default=365, show_default=True, help="Per quanti giorni vale (al più 730).")
@as_option()
@pass_session
def app_add(session: Session, name: str, scopes: tuple[str, ...], days: int, as_: str | None) -> None:
    """Il token va dato all'applicazione e conservato come una password: qui ne resta solo un'impronta."""
    raw = session.call("app-add", api.AppAdd(id=name, scopes=list(scopes), days=days, as_=as_))
    session.show(raw, _Issued, _issued)


def _issued(made: _Issued) -> str:
    lines = [f"Applicazione {made.app.id}, fino al {clock(made.app.expires)}.", "Può:"]
    lines += [f"  {scope}: {SCOPES[scope][0]}" for scope in made.app.scopes]
    return "\n".join([*lines, "Token (non si potrà rivedere):", f"  {made.token}"])


@apps.command("list", short_help="Le applicazioni, e dove trovano questo programma.")
@pass_session
def app_list(session: Session) -> None:
    """Nome, permessi, scadenza; poi gli indirizzi su cui il programma risponde, con l'impronta del certificato."""
    session.show(session.call("apps", ask.Nothing()), list[_App], lambda found: _listed(found, session.data_dir))


def _listed(found: list[_App], data_dir: Path) -> str:
    rows = [(one.id, STATES[one.state], clock(one.expires), " ".join(one.scopes)) for one in found]
    table = terminal.table(("Nome", "", "Scade", "Permessi"), rows) if rows else "Nessuna applicazione."
    return "\n".join((table, "", *_addresses(data_dir)))


def _addresses(data_dir: Path) -> list[str]:
    from node.runtime.local import announced
    from protocol.errors import ProtocolError

    try:
        port = announced(data_dir).port
    except ProtocolError:
        return ["Il programma non è in funzione: gli indirizzi si vedono quando lo è."]
    return [f"Da questo computer: http://127.0.0.1:{port}/local/v1", *_office(data_dir)]


def _office(data_dir: Path) -> list[str]:
    """Under which names the office network finds it, and what the certificate it meets has to look like."""
    from node.runtime import tls
    from node.runtime.config import NodeConfig, load_config

    held = load_config(data_dir / CONFIG_NAME, NodeConfig)
    if held.api.listen_host is None:
        return ["Dalla rete dell'ufficio: no (sezione [api] della configurazione)."]
    port = held.api.listen_port or "PORTA"
    lines = [f"Dalla rete dell'ufficio: https://{host}:{port}/local/v1" for host in sorted(tls.hosts_of(held.api))]
    cert, _ = tls.files_of(held.api, Path(held.data_dir))
    return [*lines, "Impronta SHA-256 del certificato, da confrontare la prima volta:", f"  {tls.fingerprint(cert)}"]


@apps.command("revoke", short_help="Un'applicazione non può più chiamare, da subito.")
@click.argument("name", metavar="NOME")
@as_option()
@pass_session
def app_revoke(session: Session, name: str, as_: str | None) -> None:
    """Il suo token non vale più e nessuno la avvisa più. Il nome resta nel registro: per rifarla ne serve un altro."""
    raw = session.call("app-revoke", api.AppRevoke(id=name, as_=as_))
    session.show(raw, dict[str, Any], lambda one: f"Applicazione {one['id']} revocata.")


COMMANDS: Final = (apps,)
