"""to-route, and route for one case: the command line of who routes a comune's cases. Shows, decides nothing."""

import click
import msgspec

from node import requests as ask
from node.answers import Choice, Done, ToRoute
from node.cli_cases import clock, done_text, short_code
from node.cli_kit import ItalianCommand, Session, pass_session
from node.cli_map import Advice, advice_text
from node.runtime import terminal
from protocol.errors import ProtocolError

WHY = {"new": "da smistare", "again": "senza esito: di nuovo"}


@click.command("to-route", cls=ItalianCommand, short_help="Invii accolti da smistare.")
@pass_session
def to_route(session: Session) -> None:
    """Gli invii accolti di cui nessuno si occupa ancora, o che un ufficio ha lasciato. Senza dati delle persone."""
    session.show(session.call("to-route", ask.Nothing()), list[ToRoute], _queue)


def _queue(lines: list[ToRoute]) -> str:
    if not lines:
        return "Nessun invio da smistare."
    rows = [
        (
            short_code(line.leg), line.peer_name, line.referral, line.urgency, clock(line.since), WHY[line.why],
            ", ".join(line.tried),
        )
        for line in lines
    ]  # fmt: skip
    return terminal.table(("Invio", "Da", "Tipo", "Urgenza", "Dal", "Perché", "Già sentiti"), rows)


def route_case(
    session: Session,
    leg: str,
    need: str | None,
    limit: int,
    *,
    referral: str | None,
    as_: str | None,
    choose: int | None,
    why: str | None,
    text: str | None,
    pass_attachment: tuple[int, ...],
    chosen: bool,
) -> None:
    """Proposals for a case, the choice of one of them, or the choices made."""
    if as_ is None:
        raise click.UsageError("Con un INVIO serve il codice dell'operatore: --as CODICE.")
    if chosen:
        session.show(session.call("chosen", ask.Case(leg=leg, as_=as_)), list[Choice], _choices)
        return
    raw = session.call("route-case", ask.RouteCase(leg=leg, as_=as_, need=need))
    if choose is None:
        session.show(raw, Advice, lambda found: _numbered(found, limit))
        return
    advice = msgspec.json.decode(raw, type=Advice)
    every = [*advice.first, *advice.proposals]
    if not 1 <= choose <= len(every):
        raise ProtocolError("unknown-code", field="choose", expected=f"1 to {len(every)}", got=str(choose))
    picked = every[choose - 1]
    request = ask.ChooseRoute(
        leg=leg, node=picked.node, service=picked.service, as_=as_, need=need, why=why, referral=referral, text=text,
        attachments=list(pass_attachment),
    )  # fmt: skip
    session.tell(f"Scelto: {picked.name} – {picked.member}.")
    session.show(session.call("choose-route", request), Done, _done)


def _done(done: Done) -> str:
    if done.n == 0:
        return "È un servizio di questo ente: non parte nulla. Proseguire con «hand-over» o «start»."
    return done_text(done)


def _numbered(advice: Advice, limit: int) -> str:
    """One numbering over both parts, so that --choose can name each; what has to come first stands first."""
    every = [*advice.first, *advice.proposals]
    shown = advice_text(Advice(proposals=every[:limit], first=[], total=advice.total))
    if not advice.first:
        return shown
    return f"Le prime {len(advice.first)} valutano il bisogno, e vengono prima delle altre.\n{shown}"


def _choices(found: list[Choice]) -> str:
    if not found:
        return "Nessuna scelta registrata."
    lines = []
    for one in found:
        sent = f", inoltrato come {short_code(one.child)}" if one.child else ", in questo ente"
        lines.append(f"{clock(one.at)} {one.by}: {one.node} (proposta {one.rank} di {len(one.proposed)}){sent}")
        if one.why:
            lines.append(terminal.wrap(f"Perché non la prima: {one.why}", before="   ", after="     "))
    return "\n".join(lines)


COMMANDS = (to_route,)
