"""A throw-away network on this computer: a pilot board, a body to try with, a partner that behaves as its table says.

Real programs as processes on loopback, in a directory of their own. Whoever starts one ends it with `stop`.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from node import enrolment
from node.runtime import local
from node.runtime.clock import SystemClock
from node.runtime.dice import SystemDice
from node.sandbox_partner import DESKS, Behaviour, behaviour, next_move
from protocol.errors import ProtocolError
from protocol.suite import S1

T = TypeVar("T")
YOU: Final = "ente-di-prova"
PARTNER: Final = "partner-di-prova"
NAMES: Final = {YOU: "Ente di prova", PARTNER: "Partner di prova"}
OPERATOR: Final = "PROVA-01"
PATIENCE: Final = 60.0  # seconds for any step of the start
BASIS: Final = {
    "law": "GDPR 6(1)(e), 9(2)(g)", "purpose": "prova", "notice_version": "1", "notice_date": "2026-01-01",
}  # fmt: skip
_HEAD: Final = "servizio,descrizione,destinatari,indirizzo,comune,telefono,orari,costo,aggiornato al"


class Program:
    """One program on one data directory, as a process of its own."""

    def __init__(self, module: str, data_dir: Path) -> None:
        self.module, self.data_dir = module, data_dir
        self._process: subprocess.Popen[bytes] | None = None

    def _line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", self.module, "--dir", str(self.data_dir), *words]

    def run(self, *words: str) -> None:
        """One command line. Raises sandbox-failed with what it said."""
        done = subprocess.run(self._line(*words), capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603
        if done.returncode:
            raise ProtocolError("sandbox-failed", field=words[0], got=done.stderr.decode("utf-8", "replace")[-300:])

    def start(self) -> None:
        """`serve`; returns when it answers. It does not hear the terminal's Ctrl-C: we end it, in order."""
        with (self.data_dir / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._line("serve"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until(self.data_dir.name, self._is_up)

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = (self.data_dir / "serve.log").read_text("utf-8", "replace")[-300:]
            raise ProtocolError("sandbox-failed", field=self.data_dir.name, got=said)
        return local.announced(self.data_dir).pid == self._process.pid

    def ask(self, command: str, request: dict[str, Any] | None = None) -> Any:
        """A command of the running process."""
        return json.loads(local.command(self.data_dir, command, json.dumps(request or {}).encode(), timeout=PATIENCE))

    def stop(self) -> None:
        """Ordered first, then not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Looks until something is found. Raises sandbox-failed; a program that does not answer yet is no failure."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if found := look():
                return found
        except ProtocolError as error:
            if error.code not in ("not-running", "unreachable", "busy", "log-moved"):
                raise
        if time.monotonic() > deadline:
            raise ProtocolError("sandbox-failed", field=what)
        time.sleep(0.05)


class Sandbox:
    """Made, `start`ed, turned once a second with `turn`, ended with `stop`, which leaves nothing behind."""

    def __init__(self, late_after: float) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="raccordo-sandbox-"))
        self.late_after = late_after
        self.port = _free_port()
        self.registry = Program("registry.cli", self.root / "bacheca")
        self.you, self.partner = (Program("node.cli", self.root / name) for name in (YOU, PARTNER))
        self._services: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The board's address."""
        return f"http://127.0.0.1:{self.port}"

    # -- founding

    def start(self, tell: Callable[[str], None]) -> None:
        """Everything up, both bodies in, the partner's services on the map. Raises sandbox-failed."""
        tell("Bacheca di prova…")
        self._found()
        tell("I due enti entrano nella rete…")
        for program in (self.you, self.partner):
            request = enrolment.Init(id=program.data_dir.name, plain_http_loopback=True)
            enrolment.init(program.data_dir, request, clock=SystemClock(), dice=SystemDice(), suite=S1)
            program.start()
            self._join(program)
        self._admit()
        tell("Il partner pubblica i suoi servizi…")
        for program in (self.you, self.partner):
            program.ask("operator-add", {"code": OPERATOR, "role": "RL-ASSOC"})
        self._publish()

    def _found(self) -> None:
        (self.root / "protocollo.txt").write_text("Protocollo di prova\n", "utf-8")
        answers = self.root / "rete.toml"
        answers.write_text(
            f'[network]\nname = "Rete di prova"\nid = "bacheca"\nurls = ["{self.url}"]\n'
            'pilot = true\nprotocollo = "protocollo.txt"\n', "utf-8",
        )  # fmt: skip
        self.registry.run(
            "init", "--answers", str(answers), "--key-dir", str(self.root / "chiave"),
            "--port", str(self.port), "--plain-loopback",
        )  # fmt: skip
        self.registry.start()

    def _join(self, program: Program) -> None:
        node = program.data_dir.name
        version = self.registry.ask("protocols")["value"][-1]
        invitation = self.registry.ask("invite", {"node": node, "name": NAMES[node]})["value"]
        wanted = {
            "node": node, "name": NAMES[node], "ptype": "PT-COMUNE", "caps": ["take-in-charge"],
            "territory": ["041044"], "protocol": {"version": version["version"], "hash": version["hash"]},
        }  # fmt: skip
        program.ask("join", {"invitation": invitation, "wanted": wanted})

    def _admit(self) -> None:
        export, signed = self.root / "richieste.json", self.root / "firma.json"
        self.registry.run("pending", "--export", str(export))
        key = next((self.root / "chiave").glob("*.chiave.json"))
        self.registry.run("approve", str(export), "--key", str(key), "--out", str(signed), "--yes")
        self.registry.run("admit", str(signed))
        for program in (self.you, self.partner):
            until(program.data_dir.name, lambda program=program: self._is_in(program))  # type: ignore[misc]

    @staticmethod
    def _is_in(program: Program) -> bool:
        program.ask("sync")
        return bool(program.ask("status")["joining"]["state"] == "admitted")

    def _publish(self) -> None:
        rows = [
            f"{desk.service},{desk.said},tutti,Via di Prova 1,Pesaro,0721 000000,lun-ven 9-13,gratuito,01/11/2026"
            for desk in DESKS
        ]
        sheet = "\n".join([_HEAD, *rows]).encode()
        self.partner.ask("import", {"name": "servizi.csv", "content": b64encode(sheet).decode()})
        self.partner.ask("publish")
        self._services = {entry["id"]: entry["name"] for entry in self.partner.ask("entries")["entries"]}
        for desk in DESKS:
            self.form(desk.behaviour).write_text(json.dumps(self._offer(desk.service), indent=2) + "\n", "utf-8")
        until("mappa", lambda: self._seen() == len(DESKS))

    def _seen(self) -> int:
        self.you.ask("sync")
        return int(self.you.ask("search", {"member": [PARTNER]})["total"])

    # -- what it is for

    def services(self) -> dict[str, str]:
        """Ids of the partner's services, by name."""
        return {name: id_ for id_, name in self._services.items()}

    def turn(self) -> list[str]:
        """The partner does what is due; what it did, as "event leg"."""
        done = []
        for line in self.partner.ask("cases", {"side": "received"}):
            case = self.partner.ask("case", {"leg": line["leg"], "as_": OPERATOR})
            offer = case["offer"] or {}
            kind = behaviour(self._services.get(offer.get("service", "")), offer.get("category"))
            written = {step["ev"] for step in case["steps"]}
            age = time.time() - line["created"]
            move = next_move(kind, line["state"], written, age, self.late_after)
            if move is not None:
                try:
                    self.partner.ask("act", {"leg": line["leg"], "ev": move.ev, "as_": OPERATOR, **move.fields})
                except ProtocolError as error:
                    if error.code != "illegal-event":  # the other side was faster: looked at again at the next turn
                        raise
                    continue
                done.append(f"{move.ev} {line['leg']}")
        return done

    def form(self, kind: Behaviour) -> Path:
        """A referral that meets this behaviour, as `refer --file` takes it."""
        return self.root / f"invio-{kind}.json"

    def _offer(self, service: str) -> dict[str, Any]:
        return {
            "referral": "RK-SEGN", "urgency": "UR-ORD", "subject": "person", "case": "", "basis": BASIS,
            "person": {"given_name": "Persona", "family_name": "Inventata"}, "description": "Invio di prova.",
            "service": self.services()[service],
        }  # fmt: skip

    def refer(self, service: str) -> str:
        """A referral of ours to a service of the partner, by its name; the leg."""
        return str(self.you.ask("refer", {"to": PARTNER, "as_": OPERATOR, "offer": self._offer(service)})["leg"])

    def state(self, leg: str) -> str:
        """As our side shows it."""
        lines = self.you.ask("cases", {"all_": True})
        return next((str(line["state"]) for line in lines if line["leg"] == leg), "none")

    def stop(self) -> None:
        """Ends every process and removes the directory."""
        for program in (self.you, self.partner, self.registry):
            program.stop()
        shutil.rmtree(self.root, ignore_errors=True)


def prove(sandbox: Sandbox, tell: Callable[[str], None]) -> None:
    """All four behaviours, seen from the sender's side. Raises sandbox-failed naming the one that did not come."""
    ends: dict[Behaviour, str] = {"answers": "closed", "asks": "asked", "declines": "declined", "late": "offered"}
    legs = {desk.behaviour: sandbox.refer(desk.service) for desk in DESKS}

    def seen(kind: Behaviour, wanted: str) -> bool:
        sandbox.turn()
        return sandbox.state(legs[kind]) == wanted

    for desk in DESKS:
        until(desk.service, lambda desk=desk: seen(desk.behaviour, ends[desk.behaviour]))  # type: ignore[misc]
        tell(f"{desk.service}: {ends[desk.behaviour]}")
    sandbox.you.ask("act", {"leg": legs["asks"], "ev": "answer", "as_": OPERATOR, "text": "Da un mese."})
    until("risposta alla domanda", lambda: seen("asks", "accepted"))
    tell("La risposta alla domanda è arrivata: accolto.")
    sandbox.late_after = 0
    until("chi tarda", lambda: seen("late", "accepted"))
    tell("Chi tardava ha accolto.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
