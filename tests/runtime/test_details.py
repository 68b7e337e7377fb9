"""The details of a refusal reach people in Italian: every phrase of the code has one, or is not shown."""

import ast
import re
from pathlib import Path

import pytest

from node.runtime import details, terminal
from protocol.errors import ProtocolError

ROOT = Path(__file__).parents[2]
ROOMS = ("protocol", "node", "registry", "schemas")
ITALIAN = {"TOML valido", "testo UTF-8", "una cartella fuori dai dati del server", "una cartella nuova",
           "chiavi già presenti", "almeno un nome o un indirizzo", "cert_file e key_file insieme",
           "certificato e chiave PEM"}  # fmt: skip
DATA = re.compile(r"[\W\d]*|2026-11-20( 11:40)?|\d+ MiB|\W*(or|on)\W*")


def literal(value: ast.expr) -> str | None:
    """A phrase as it is raised, "7" in the place of what is filled in."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in value.values)
    return None


def phrases() -> dict[str, str]:
    found = {}
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProtocolError":
                for keyword in node.keywords:
                    if keyword.arg in ("expected", "got") and (said := literal(keyword.value)):
                        found[said] = str(path.relative_to(ROOT))
    return found


def test_every_phrase_of_a_refusal_is_italian_or_hidden():
    silent = {said: where for said, where in phrases().items()
              if not DATA.fullmatch(said) and said not in ITALIAN
              and details._phrase(said) == said}  # fmt: skip
    assert silent == {}, "add a row to node/runtime/details.py: PHRASES, or HIDDEN when only a program reads it"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ProtocolError("bad-shape", field="basis.notice_date"), "  Dove: base giuridica, data dell'informativa"),
        (ProtocolError("bad-shape", field="caps[0]"), "  Dove: capacità"),
        (ProtocolError("unknown-code", field="near", expected="Tavullia", got="Tavulia"), "  Forse: Tavullia"),
        (ProtocolError("unknown-code", expected="NA-INFO NA-CASA", got="casa"), "  Ammessi:\n    NA-CASA  "),
        (ProtocolError("illegal-event", expected="ask close"), "Adesso si può: chiedi altre informazioni, concludi"),
        (ProtocolError("illegal-event", field="kind", got="accept"), "  Trovato: accogli"),
        (ProtocolError("role-forbidden", got="RL-VOLONT"), "  Trovato: volontario (RL-VOLONT)"),
        (ProtocolError("bad-shape", field="person.birth_year", expected="Expected `int` >= 1900"), "minore di 1900"),
        (
            ProtocolError("config-invalid", got="Object contains unknown field `nome` - at `$.network`"),
            "  Trovato: network: non si conosce «nome»",
        ),
        (ProtocolError("store-busy", got="pid 412"), "  Trovato: processo 412"),
        (ProtocolError("bad-shape", field="day", expected="not after 2026-11-20"), "  Atteso: non dopo il 20/11/2026"),
        (ProtocolError("unknown-key", expected="a guarantor of this network"), "Atteso: un garante di questa rete"),
    ],
)
def test_details_are_said_as_people_would(error, shown, capsys, monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "it")
    terminal.fail(error)
    said = capsys.readouterr().err
    assert shown in said
    assert max(map(len, said.splitlines())) <= 80


def test_what_only_a_program_reads_is_not_shown(capsys, monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "it")
    terminal.fail(ProtocolError("bad-shape", field="$", expected="no other member"))
    assert "Dove" not in (said := capsys.readouterr().err) and "Atteso" not in said


def test_in_english_the_details_stay_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "en")
    terminal.fail(ProtocolError("bad-shape", field="day", expected="not after 2026-11-20"))
    assert "not after 2026-11-20" in capsys.readouterr().err
