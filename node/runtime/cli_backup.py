"""What the copies' commands of both programs share: which secret, how a copy and its content are said. No command."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.runtime.backup_state import DAY, HOUR, Made, State
from node.runtime.wording import say, what_happened, what_to_do
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from node.runtime.config import BackupConfig
    from node.runtime.doctor import Check
    from node.runtime.sealed_file import Secret

_MIB: Final = 1 << 20
VERIFIED_WITHIN: Final = 30 * DAY


def secret_for(
    passphrase_file: Path | None, key_file: Path | None, config: "BackupConfig | None", *, twice: bool
) -> "Secret":
    """What a copy is encrypted with. A passphrase never stands on the command line. Raises bad-passphrase…"""
    from node.runtime import sealed_file
    from node.runtime.backup_turn import secret_of
    from node.runtime.config import load_secret

    if passphrase_file is not None and key_file is not None:
        raise click.UsageError("O --passphrase-file o --key-file.")
    if passphrase_file is not None:
        return sealed_file.passphrase(load_secret(passphrase_file))
    if key_file is not None:
        return sealed_file.read_key_file(key_file)
    if config is not None and (held := secret_of(config)) is not None:
        return held
    question = (
        f"Frase segreta della copia (almeno {sealed_file.PASSPHRASE_MIN} caratteri)"
        if twice
        else "Frase segreta della copia"
    )
    given = str(click.prompt(question, hide_input=True, err=True))
    if twice and given != click.prompt("Ancora una volta", hide_input=True, err=True):
        raise ProtocolError("bad-passphrase", got="two different ones")
    return sealed_file.passphrase(given)


def made_text(made: Made) -> str:
    """Where a copy is and what tells it from another."""
    size = f"{made.size / _MIB:.1f} MiB" if made.size >= _MIB else f"{made.size / 1024:.0f} KiB"
    return "\n".join(
        (
            f"Copia scritta: {made.path} ({size})",
            f"SHA-256: {made.sha256}",
            "Si apre solo con la sua frase segreta o chiave di recupero: conservarla lontano da qui.",
            "Provarla: backup verify FILE",
        )
    )


def moment(at: int) -> str:
    """20/11/2026 11:40, in Italy."""
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(at, ZoneInfo("Europe/Rome")).strftime("%d/%m/%Y %H:%M")


# -- how old, where, last tried


def state_lines(state: State, every_hours: int | None, now: int) -> list[str]:
    """What `status` says of the copies; empty when there are none and none are wanted."""
    if every_hours is None and state.full is None:
        return []
    last = f"ultima del {moment(state.full.at)} in {state.full.path}" if state.full else "ancora nessuna"
    tried = f"; provata il {moment(state.verified_at)}" if state.verified_at else "; mai provata"
    lines = [f"Copie di sicurezza: {last}{tried if state.full else ''}."]
    if state.failed_at is not None:
        lines.append(f"La copia del {moment(state.failed_at)} NON è riuscita: {what_happened(state.failed_code or '')}")
    elif every_hours is not None and state.full is not None and now - state.full.at > 2 * every_hours * HOUR:
        lines.append(
            f"La copia è vecchia di {(now - state.full.at) // HOUR} ore: ne era attesa una ogni {every_hours}."
        )
    return lines


def backup_check(state: Callable[[], State], config: "Callable[[], BackupConfig]", now: Callable[[], int]) -> "Check":
    """Of doctor: copies are made, lately, and one was opened lately."""
    from node.runtime.doctor import Check, Finding

    def ask() -> Finding:
        held, wanted, at = state(), config(), now()
        if held.failed_at is not None and held.failed_code is not None:
            text = say("L'ultima copia non è riuscita: {why}").format(why=what_happened(held.failed_code))
            return Finding("fail", text, what_to_do(held.failed_code))
        if held.full is None:
            text = say("Non c'è ancora nessuna copia di sicurezza.")
            return Finding("fail" if wanted.to else "warn", text, what_to_do("backup-unset"))
        age = (at - held.full.at) // HOUR
        text = say("Ultima copia: {hours} ore fa, in {path}").format(hours=age, path=held.full.path)
        if age > 2 * (wanted.every_hours if wanted.to else 7 * 24):
            return Finding("fail" if wanted.to else "warn", text, say("Farne una adesso: «backup»."))
        if held.verified_at is None or at - held.verified_at > VERIFIED_WITHIN:
            return Finding("warn", text, say("Provare che si apra: «backup verify FILE»."))
        days = (at - held.verified_at) // DAY
        return Finding("ok", text + say("; provata {days} giorni fa.").format(days=days))

    return Check("copie", ask)
