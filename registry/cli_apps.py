"""apps: the other programs of the lead body that may administer the board. Shows, decides nothing."""

from datetime import datetime
from typing import Final

import click
from msgspec import Struct

from node.runtime import terminal
from node.runtime.cli_kit import OneOf, Whole
from registry.admin_asking import SCOPES, AppAdd, AppName
from registry.asking import Nothing
from registry.cli_kit import Group, Session

pass_session = click.make_pass_decorator(Session)
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


@click.group("apps", cls=Group, short_help="Gli altri programmi che possono amministrare la bacheca.")
def apps() -> None:
    """Le applicazioni dell'ente capofila: nome, permessi, scadenza. Nessuna può firmare al posto dei garanti."""


@apps.command("add", short_help="Nuova applicazione: mostra il suo token, una volta sola.")
@click.argument("name", metavar="NOME")
@click.option(
    "--scope", "scopes", type=OneOf(*SCOPES), multiple=True, required=True, help="Un permesso. Si può ripetere."
)
@click.option("--days", type=Whole(), default=365, show_default=True, help="Per quanti giorni vale (al più 730).")
@pass_session
def app_add(session: Session, name: str, scopes: tuple[str, ...], days: int) -> None:
    """Il token va dato all'applicazione e conservato come una password: qui ne resta solo un'impronta."""
    made = session.ask("app-add", AppAdd(id=name, scopes=list(scopes), days=days), _Issued)
    lines = [f"Applicazione {made.app.id}, fino al {_day(made.app.expires)}.", "Può:"]
    lines += [f"  {scope}: {SCOPES[scope][0]}" for scope in made.app.scopes]
    session.show(made, "\n".join([*lines, "Token (non si potrà rivedere):", f"  {made.token}"]))


@apps.command("list", short_help="Le applicazioni.")
@pass_session
def app_list(session: Session) -> None:
    """Nome, permessi, scadenza."""
    found = session.ask("apps", Nothing(), list[_App])
    rows = [(one.id, STATES[one.state], _day(one.expires), " ".join(one.scopes)) for one in found]
    session.show(found, terminal.table(("Nome", "", "Scade", "Permessi"), rows) if rows else "Nessuna applicazione.")


@apps.command("revoke", short_help="Un'applicazione non può più chiamare, da subito.")
@click.argument("name", metavar="NOME")
@pass_session
def app_revoke(session: Session, name: str) -> None:
    """Il suo token non vale più. Il nome resta nel registro: per rifarla ne serve un altro."""
    done = session.ask("app-revoke", AppName(name), _App)
    session.show(done, f"Applicazione {done.id} revocata.")


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at):%d/%m/%Y}"


COMMANDS: Final = (apps,)
