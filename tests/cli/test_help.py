"""The command line speaks Italian, starts light and says what to do when it is misused."""

import re
import subprocess
import sys

import click
import pytest

from node.cli import cli
from tests.cli.town import run

ENGLISH = re.compile(r"\b(Usage|Options|Commands|Show this|Error|required|TEXT|default)\b")
HEAVY = ("aiohttp", "cryptography", "sqlite3", "asyncio", "openpyxl", "csv", "tomllib", "snowballstemmer")


def every_command(group=cli, path=()):
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_command_has_an_italian_help(path):
    text = run(*path, "--help").stdout
    assert text.startswith("Uso: raccordo-node ")
    assert "Mostra questo aiuto." in text
    assert not ENGLISH.search(text), ENGLISH.search(text)
    described = text.partition("\n\n")[2].strip()
    assert described and not described.startswith("Opzioni"), "a command says what it is for"


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_option_is_explained(path):
    command = cli
    for name in path:
        command = command.commands[name]
    silent = [param.opts for param in command.params if isinstance(param, click.Option) and not param.help]
    assert silent == []


def test_the_list_of_commands_is_complete_and_short():
    text = run("--help").stdout
    assert all(f"  {name} " in text for name in cli.commands)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["refre"], "Comando sconosciuto: «refre». Forse «refer»?"),
        (["accept", "abcd"], "Manca l'opzione --as."),
        (["accept"], "Manca INVIO."),
        (["search", "--colour"], "Opzione sconosciuta: --colour."),
        (["search", "--limit", "molti"], "«molti» non è un numero intero"),
        (["search", "--order", "alfabetico"], "uno fra useful, near"),
        (["import", "manca.csv"], "il file «manca.csv» non si trova"),
        (["import"], "Serve il foglio da importare"),
        (["confirm"], "Dire quali voci"),
        (["notice", "--all"], "Serve il testo dell'avviso"),
        (["refer", "distretto", "--as", "OP"], "Serve il tipo di invio"),
        (["status", "adesso"], "Argomenti di troppo: adesso."),
        (["init", "--id", "x", "--listen", "dovunque"], "--listen vuole indirizzo e porta"),
    ],
)
def test_wrong_usage_is_said_in_italian_and_leaves_with_2(args, said, tmp_path):
    result = run("--dir", tmp_path, *args, ok=False)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Cosa fare: raccordo-node" in result.stderr
    assert result.stdout == ""


def test_a_refusal_says_what_happened_what_to_do_and_the_code(tmp_path):
    result = run("--dir", tmp_path / "none", "entries", ok=False)
    assert result.exit_code == 1
    assert "Manca la configurazione." in result.stderr
    assert "Cosa fare: Eseguire prima «init»" in result.stderr
    assert "config-missing" in result.stderr


def test_a_script_gets_a_refusal_as_json_on_standard_output(tmp_path):
    import json

    for args in (["--json", "entries"], ["entries", "--json"]):
        result = run("--dir", tmp_path / "none", *args, ok=False)
        assert json.loads(result.stdout)["code"] == "config-missing"
        assert result.exit_code == 1


def loaded(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return set(done.stderr.split())


def test_help_loads_nothing_heavy():
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "sys.argv = ['raccordo-node', '--help']; from node.cli import main; main()"
    )
    assert not loaded(code) & set(HEAVY)
    assert "click" in loaded(code)


def test_a_command_answered_by_a_running_process_loads_no_engine(tmp_path):
    """A stand-in process answers on the local channel; the command line must not open or import the store."""
    code = f"""
import sys, atexit, threading, http.server, pathlib
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        body = b'[]'
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
from node.runtime import local
local.announce(pathlib.Path({str(tmp_path)!r}), server.server_port, 'token')
sys.argv = ['raccordo-node', '--dir', {str(tmp_path)!r}, 'inbox']
from node.cli import main
main()
"""
    modules = loaded(code)
    assert "node.commands" in modules
    assert not modules & {"aiohttp", "cryptography", "asyncio", "openpyxl", "node.body", "node.engine", "sqlite_utils"}


BANNED = re.compile(r"\b(nodo|nodi|leg|outbox|snapshot|checkpoint|witness|envelope|hash)\b", re.IGNORECASE)


def test_no_screen_uses_the_words_of_the_code():
    """docs/glossario.md, last line."""
    from registry.cli import main
    from schemas.problems import PROBLEMS

    texts = [text for problem in PROBLEMS.values() for text in (problem.it, problem.fix)]
    for group in (cli, main):
        for path in every_command(group):
            command = group
            for name in path:
                command = command.commands[name]
            options = [param.help or "" for param in command.params if isinstance(param, click.Option)]
            texts += [command.help or "", command.short_help or "", *options]
    assert [text for text in texts if BANNED.search(text)] == []
