"""What `join` sends to the running process, and what it shows; a stand-in process answers on the local channel."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from node.enrolment import JoinWish
from node.runtime import local
from protocol.strict import digest
from schemas.membership import Invitation, Relay
from tests.cli.town import Node, run

INVITATION = Invitation(
    net="w" * 43,
    name="Ambito di prova",
    node="comune-tavullia",
    registry=["https://bacheca.example"],
    relays=[Relay("bacheca", "https://bacheca.example")],
    code="una-volta",
    exp=1795864200,
)
PENDING = {
    "node": "comune-tavullia",
    "name": "Comune di Tavullia",
    "words": "amaca partita",
    "state": "pending",
    "ref": "R-1",
}


@pytest.fixture
def process(tmp_path):
    """A node's directory, and the commands that reached its stand-in process."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps(PENDING).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    node = Node(tmp_path, "comune-tavullia")
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    local.announce(node.dir, server.server_port, "token")
    (tmp_path / "invito.json").write_bytes(msgspec.json.encode(INVITATION))
    (tmp_path / "protocollo.pdf").write_bytes(b"testo firmato")
    yield node, asked, tmp_path
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_wish_is_complete_and_the_eight_words_are_shown(process):
    node, asked, home = process
    shown = node(
        "join", home / "invito.json", "--name", "Comune di Tavullia", "--type", "PT-COMUNE", "--cap", "take-in-charge",
        "--territory", "Tavullia", "--ipa", "c_l081", "--phone", "0721 000901", "--protocol-version", "1",
        "--protocol", home / "protocollo.pdf", "--relay", "distretto",
    )  # fmt: skip
    assert "Leggere al telefono alla capofila queste otto parole:\n  amaca partita" in shown.stdout
    ((path, payload),) = asked
    wish = msgspec.json.decode(payload, type=JoinWish)
    assert path == "/local/v1/command/join"
    assert (wish.invitation, wish.relays, wish.urls) == (INVITATION, ["distretto"], [])
    assert (wish.wanted.node, wish.wanted.territory, wish.wanted.caps) == (
        "comune-tavullia",
        ["041065"],
        ["take-in-charge"],
    )
    assert (wish.wanted.identifiers.ipa, wish.wanted.contact.phone) == ("c_l081", "0721 000901")
    assert (wish.wanted.protocol.version, wish.wanted.protocol.hash) == ("1", digest(b"testo firmato"))


def test_a_whole_request_may_come_from_a_file(process):
    node, asked, home = process
    wanted = {"name": "Dal file", "ptype": "PT-APS", "protocol": {"version": "1", "hash": "h" * 43}}
    (home / "wanted.json").write_text(json.dumps(wanted))
    node("join", home / "invito.json", "--wanted", home / "wanted.json", "--name", "Dalle opzioni")
    wish = msgspec.json.decode(asked[0][1], type=JoinWish)
    assert (wish.wanted.name, wish.wanted.ptype) == ("Dalle opzioni", "PT-APS")


def test_what_is_missing_is_named_before_anything_is_asked(process):
    node, asked, home = process
    refused = node("join", home / "invito.json", "--name", "Comune di Tavullia", ok=False)
    assert refused.exit_code == 2
    assert "--type, --protocol-version" in refused.stderr
    assert asked == []


def test_a_file_that_is_no_invitation_is_refused(process):
    node, _, home = process
    for content in (b"{}", b"PDF"):
        (home / "invito.json").write_bytes(content)
        refused = node("join", home / "invito.json", ok=False)
        assert (refused.exit_code, "Codice: wrong-file" in refused.stderr) == (1, True)
        assert "Atteso: il file d'invito ricevuto dalla capofila" in refused.stderr


def test_without_a_running_process_join_says_to_start_it(tmp_path):
    node = Node(tmp_path, "comune-tavullia")
    (tmp_path / "invito.json").write_bytes(msgspec.json.encode(INVITATION))
    refused = run(
        "--dir", node.dir, "join", tmp_path / "invito.json", "--name", "X", "--type", "PT-APS", "--protocol-version",
        "1", "--protocol-hash", "h" * 43, ok=False,
    )  # fmt: skip
    assert "Codice: not-running" in refused.stderr
