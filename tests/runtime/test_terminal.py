"""What people see, and the questions of doctor."""

import ast
import io
import json
import logging
import sys
from pathlib import Path

import pytest

from node.runtime import doctor, english, logs, terminal, wording
from node.runtime.dice import SeededDice
from node.runtime.keystore import MemoryKeystore
from node.runtime.metrics import Counter, Gauge, render
from node.runtime.platform import notify_supervisor
from node.runtime.store import Store
from protocol.errors import ProtocolError

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def italian(monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "it")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_table_fits_eighty_columns_and_keeps_every_word():
    text = "sportello per l'assistenza domiciliare integrata con un nome davvero molto lungo e ripetuto"
    shown = terminal.table(
        ["Ente", "Servizio", "Stato"], [["Comune di Tavullia", text, "aperto"], ["x", f"{text} {text}", "chiuso"]]
    )
    assert max(len(line) for line in shown.splitlines()) <= 80
    for word in text.split():
        assert word in shown


def test_a_table_counts_wide_letters_and_shows_no_control_characters():
    shown = terminal.table(["A", "B"], [["漢字", "\x1b[31mrosso\x07"], ["ab", "c"]])
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "漢字  " in shown
    assert "ab    c" in shown


def test_a_very_long_word_is_cut_not_lost():
    shown = terminal.table(["A", "B"], [["x" * 200, "y" * 10]])
    assert shown.count("x") == 200
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_colours_only_on_a_terminal_without_no_color(monkeypatch):
    assert terminal.tone("sì", "ok", Terminal()) == "\x1b[32msì\x1b[0m"
    assert terminal.tone("sì", "ok", io.StringIO()) == "sì"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.tone("sì", "ok", Terminal()) == "sì"


def test_a_refusal_says_what_happened_and_what_to_do():
    out = io.StringIO()
    error = ProtocolError("config-invalid", field="http.prxy", expected="forse «proxy»?", got="riga 3")
    assert terminal.fail(error, out) == 1
    assert out.getvalue().splitlines() == [
        "La configurazione non è valida.",
        "  Dove: http.prxy",
        "  Atteso: forse «proxy»?",
        "  Trovato: riga 3",
        "Cosa fare: Correggere la riga indicata.",
        "Codice: config-invalid",
    ]


def test_a_refusal_in_english_where_asked(monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "en")
    assert wording.what_happened("not-found") == "Not found."
    out = io.StringIO()
    terminal.fail(ProtocolError("not-found"), out)
    assert out.getvalue() == "Not found.\nWhat to do: Check the address or the code.\nCode: not-found\n"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"Perche' \"gia'\" e' qui... - 3 EUR ?"),
        ("cp1252", "Perché «già» è qui… – 3 € ?".encode("cp1252")),
    ],
)
def test_an_old_console_shows_plainer_letters_and_never_fails(encoding, shown, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    terminal.prepare_streams()
    terminal.show("Perché «già» è qui… – 3 € 漢")
    sys.stdout.flush()
    assert raw.getvalue().rstrip() == shown


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "it"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB", "RACCORDO_LANG": "it"}, "it"),
        ({"LANG": "C"}, "it"),
        ({"LANG": "de_DE"}, "it"),
    ],
)
def test_the_language_follows_the_environment(environment, language):
    assert wording.language(environment) == language


def test_json_for_scripts():
    out = io.StringIO()
    assert terminal.fail_json(ProtocolError("busy", field="x"), out) == 1
    assert json.loads(out.getvalue()) == {
        "code": "busy",
        "field": "x",
        "what": "Il servizio è momentaneamente occupato.",
        "fix": wording.what_to_do("busy"),
    }


def progress(stream, steps, seconds_per_step):
    now = [0.0]
    with terminal.Progress("Importo", 100, stream=stream, monotonic=lambda: now[0]) as shown:
        for _ in range(steps):
            now[0] += seconds_per_step
            shown.step()
    return stream.getvalue()


def test_progress_is_one_line_rewritten_on_a_terminal_and_throttled():
    written = progress(Terminal(), 100, 0.01)
    assert written.count("\n") == 1
    assert 5 <= written.count("\r") <= 12
    assert "Importo: 100/100" in written


def test_progress_off_a_terminal_is_silent_unless_it_takes_long():
    assert progress(io.StringIO(), 100, 0.01) == ""
    assert progress(io.StringIO(), 25, 1).splitlines() == ["Importo: 10/100", "Importo: 20/100", "Importo: 25/100"]


# -- doctor


def grades(*checks):
    return [result.grade for result in doctor.run_checks(checks)]


def test_doctor_grades_the_clock_as_the_protocol_does():
    offsets = [0, -120, 121, -300, 301, None]
    assert grades(*(doctor.clock_offset(lambda s=s: s) for s in offsets)) == [
        "ok",
        "ok",
        "warn",
        "warn",
        "fail",
        "warn",
    ]


def test_doctor_grades_room_on_the_disk(tmp_path):
    mib = 1 << 20
    assert grades(*(doctor.disk_space(tmp_path, lambda _, m=m: m * mib) for m in (2000, 500, 100))) == [
        "ok",
        "warn",
        "fail",
    ]


def test_doctor_looks_at_the_store_its_owner_and_the_files(tmp_path):
    path = tmp_path / "store.db"
    assert grades(doctor.owner(path)) == ["warn"]
    store = Store.open(path, [])
    checks = [
        doctor.owner(path),
        doctor.store_settings(store),
        doctor.store_content(store),
        doctor.local_disk(tmp_path),
    ]
    assert grades(*checks, doctor.file_modes([path, tmp_path / "absent"])) == ["ok"] * 5
    path.chmod(0o644)
    assert grades(doctor.file_modes([path])) == ["fail"]
    store.read(lambda tx: tx.execute("PRAGMA synchronous=OFF"))
    results = doctor.run_checks([doctor.store_settings(store), doctor.owner(path)])
    assert [result.grade for result in results] == ["fail", "ok"]
    assert doctor.worst(results) == "fail"
    assert doctor.worst([]) == "ok"
    assert results[0].text == wording.what_happened("store-settings")
    store.close()


def test_doctor_misses_keys():
    keystore = MemoryKeystore(SeededDice(1))
    keystore.add_signing(b"a" * 32, "k", 0)
    assert grades(doctor.keys_present(keystore.entries)) == ["fail"]
    keystore.add_sealing(b"b" * 32, "l", 0)
    assert grades(doctor.keys_present(keystore.entries)) == ["ok"]


# -- logs, metrics, supervisor


def test_log_lines_hold_no_arguments_of_others_and_no_exception_text():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.JsonFormatter())
    foreign = logging.getLogger("someone.else")
    foreign.addHandler(handler)
    foreign.propagate = False
    try:
        raise ValueError("Maria Rossi")
    except ValueError:
        foreign.exception("cannot read %s", "Maria Rossi")
    foreign.removeHandler(handler)
    line = json.loads(out.getvalue())
    assert line["event"] == "cannot read %s"
    assert (line["type"], line["logger"], line["level"]) == ("ValueError", "someone.else", "error")
    assert "Rossi" not in out.getvalue()


def test_a_field_outside_the_list_is_a_fault():
    with pytest.raises(ValueError, match="body"):
        logs.event(logging.INFO, "x", body="secret")


def test_metrics_are_prometheus_text():
    calls = Counter("calls_total", "Calls", ("route", "status"))
    calls.inc("/v1/inbox", "200")
    calls.inc("/v1/inbox", "200", by=2)
    calls.inc('a"b\\c\n', "429")
    plain = Counter("plain_total", "Plain")
    text = render([calls, plain, Gauge("open_legs", "Legs", lambda: 1234567890)])
    assert 'calls_total{route="/v1/inbox",status="200"} 3\n' in text
    assert 'calls_total{route="a\\"b\\\\c\\n",status="429"} 1\n' in text
    assert "# TYPE plain_total counter\nplain_total 0\n" in text
    assert "# TYPE open_legs gauge\nopen_legs 1234567890\n" in text
    with pytest.raises(ValueError, match="labels"):
        calls.inc("only one")


def test_the_supervisor_hears_us_where_there_is_one(tmp_path, monkeypatch):
    import socket

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_supervisor("READY=1")
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify_supervisor("READY=1")
        assert listener.recv(100) == b"READY=1"
    notify_supervisor("STOPPING=1")


def test_every_refusal_has_its_english_and_nothing_else_is_kept_in_the_table():
    from schemas.problems import PROBLEMS

    said = {problem.fix for problem in PROBLEMS.values()} | {"Dove", "Atteso", "Trovato", "Cosa fare"}
    for path in (path for room in ("node", "registry") for path in (ROOT / room).rglob("*.py")):
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        said |= {
            call.args[0].value
            for call in calls
            if getattr(call.func, "id", "") == "say" and call.args and isinstance(call.args[0], ast.Constant)
        }
    assert said == set(english.TEXTS)
