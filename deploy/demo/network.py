"""The demo's network: founding, joining, publishing, with the real programs as separate processes on loopback."""

import hashlib
import json
import sqlite3
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from deploy.demo.cast import REACHABLE, RELAYS, Actor
from deploy.demo.processes import DemoError, Program, free_port, until
from deploy.demo.rebuild import Caller, rebuild
from deploy.demo.telling import Teller
from node import enrolment
from node.engine import store_path
from node.runtime.clock import SystemClock
from node.runtime.dice import SystemDice
from protocol import paths
from protocol.strict import b64u_decode
from protocol.suite import S1

PROTOCOLLO: Final = (
    "PROTOCOLLO D'INTESA (ESEMPIO) tra i soggetti del segretariato sociale diffuso dell'Ambito 1. Testo dimostrativo.\n"
)
GUARANTORS: Final = ("Ente capofila", "Distretto sanitario", "Consulta del terzo settore")


class Network:
    """One registry and its members, all under one directory."""

    def __init__(self, root: Path, actors: list[Actor], teller: Teller) -> None:
        self.root = root
        self.tell = teller
        self.actors = {actor.node: actor for actor in actors}
        self.registry = Program("registry.cli", root / "bacheca")
        self.nodes = {actor.node: Program("node.cli", root / actor.node) for actor in actors}
        self.ports = {actor.node: free_port() for actor in actors if actor.node in REACHABLE}
        self.registry_port = free_port()
        self.key_dir = root / "chiavette-dei-garanti"

    @property
    def registry_url(self) -> str:
        return f"http://127.0.0.1:{self.registry_port}"

    def wait_for_map(self, expected: int) -> None:
        """Every replica shows every published entry."""
        for node in self.nodes:
            until(f"la mappa intera a {node}", lambda node=node: self._entries(node) >= expected)  # type: ignore[misc]

    def _entries(self, node: str) -> int:
        db = sqlite3.connect(f"file:{store_path(self.root / node)}?mode=ro", uri=True)
        try:
            return int(db.execute("SELECT COUNT(DISTINCT id) FROM map_entry").fetchone()[0])
        finally:
            db.close()

    def name(self, node: str) -> str:
        return self.actors[node].name

    def ask(self, node: str, command: str, request: dict[str, Any] | None = None) -> Any:
        """A command of a node's own process."""
        return self.nodes[node].ask(command, request)

    def ask_registry(self, command: str, request: dict[str, Any] | None = None) -> Any:
        """A command of the registry's process."""
        answer: Any = self.registry.ask(command, request)
        return answer["value"]

    # -- founding

    def found(self) -> None:
        """The ceremony: three guarantors' keys made off the server, root signed by two of them."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "protocollo.txt").write_text(PROTOCOLLO, "utf-8")
        answers = self.root / "rete.toml"
        answers.write_text(self._answers(), "utf-8")
        self.registry.run(
            "init", "--answers", str(answers), "--key-dir", str(self.key_dir),
            "--host", "127.0.0.1", "--port", str(self.registry_port),
        )  # fmt: skip
        self._one_address(self.registry.data_dir)
        self.registry.start()

    @staticmethod
    def _one_address(data_dir: Path) -> None:
        """Here everybody calls from 127.0.0.1, as behind a reverse proxy: the limit per address has to be higher."""
        config = data_dir / "raccordo.toml"
        text = config.read_text("utf-8")
        config.write_text(text.replace("[http]\n", "[http]\nconnections_per_address = 1000\n"), "utf-8")

    def _answers(self) -> str:
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in GUARANTORS)
        return (
            '[network]\nname = "Ambito Territoriale Sociale n. 1 (ESEMPIO)"\nid = "bacheca"\n'
            f'urls = ["{self.registry_url}"]\nguarantors = [{names}]\nthreshold = 2\nadmission_threshold = 1\n'
            'protocollo = "protocollo.txt"\n'
            f'[[relays]]\nid = "distretto"\nurl = "http://127.0.0.1:{self.ports["distretto"]}"\n'
        )

    def key_files(self) -> list[Path]:
        """What was carried away on sticks."""
        return sorted(self.key_dir.glob("*.chiave.json"))

    # -- joining

    def start_nodes(self) -> None:
        """Each body makes its own keys on its own computer and starts."""
        for actor in self.actors.values():
            port = self.ports.get(actor.node, 0)
            request = enrolment.Init(
                id=actor.node, listen_host="127.0.0.1" if port else None, listen_port=port,
                relay="relay" in actor.capabilities, plain_http_loopback=True,
            )  # fmt: skip
            enrolment.init(self.root / actor.node, request, clock=SystemClock(), dice=SystemDice(), suite=S1)
            self._one_address(self.root / actor.node)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda program: program.start(), self.nodes.values()))

    def request_all(self) -> dict[str, str]:
        """Every body asks to join with its invitation; the eight words its own screen shows, by node."""
        version = self.ask_registry("protocols")[-1]
        words: dict[str, str] = {}
        for actor in self.actors.values():
            invitation = self.ask_registry("invite", {"node": actor.node, "name": actor.name})
            wanted = {
                "node": actor.node, "name": actor.name, "ptype": actor.ptype, "caps": list(actor.capabilities),
                "territory": list(actor.territory),
                "protocol": {"version": version["version"], "hash": version["hash"]},
            }  # fmt: skip
            port = self.ports.get(actor.node)
            urls = [f"http://127.0.0.1:{port}"] if port else []
            relays = [relay for relay in RELAYS if relay != actor.node]
            joining = self.ask(
                actor.node, "join", {"invitation": invitation, "wanted": wanted, "urls": urls, "relays": relays}
            )
            words[actor.node] = joining["words"]
        return words

    def approve_all(self, words: dict[str, str]) -> None:
        """The capofila compares the words; a guarantor signs on another PC; the server admits."""
        pending = self.ask_registry("pending")
        if {row["node"]: row["words"] for row in pending} != words:
            raise DemoError("le parole lette al telefono non coincidono")
        export, other_pc = self.root / "richieste.json", self.root / "pc-del-garante"
        self.registry.run("pending", "--export", str(export))
        other_pc.mkdir(exist_ok=True)
        approved = other_pc / "approvate.json"
        Program("registry.cli", other_pc).run(
            "approve", str(export), "--key", str(self.key_files()[0]), "--out", str(approved), "--yes"
        )
        self.registry.run("admit", str(approved))
        for node in self.nodes:
            until(f"{node} dentro la rete", lambda node=node: self._joined(node))  # type: ignore[misc]

    def _joined(self, node: str) -> bool:
        self.ask(node, "sync")
        return bool(self.ask(node, "status")["joining"]["state"] == "admitted")

    # -- publishing

    def staff(self) -> None:
        """Operators of each desk, by code."""
        for actor in self.actors.values():
            for code, role in actor.operators:
                self.ask(actor.node, "operator-add", {"code": code, "role": role})

    def import_and_publish(self, actor: Actor) -> dict[str, Any]:
        """The body's own sheet, as it keeps it."""
        content = b64encode(actor.sheet.read_bytes()).decode()
        done: dict[str, Any] = self.ask(actor.node, "import", {"name": actor.sheet.name, "content": content})
        self.ask(actor.node, "publish", {})
        return done

    def maps(self, node: str) -> dict[str, bytes]:
        """map.ndjson as that member: from its own replica, from the live board, from a rebuild."""
        caller = Caller(self.root / node, node, self.registry_port, int(time.time()))
        return {
            "copia locale": self.nodes[node].run("map", "--ndjson").encode(),
            "bacheca": caller.get(paths.MAP),
            "ricostruita da zero": rebuild(caller),
        }

    # -- looking over shoulders

    def count(self, node: str, sql: str, legs: list[str]) -> int:
        """Counts in a node's own store, read-only."""
        db = sqlite3.connect(f"file:{store_path(self.root / node)}?mode=ro", uri=True)
        try:
            marks = ",".join("?" for _ in legs)
            return int(db.execute(f"{sql} ({marks})", legs).fetchone()[0])
        finally:
            db.close()

    def registry_post(self, owner: str) -> list[str]:
        """Everything the registry's store holds of what waits for `owner`: each column, the outer part decoded."""
        db = sqlite3.connect(f"file:{self.registry.data_dir / 'bacheca.db'}?mode=ro", uri=True)
        db.row_factory = sqlite3.Row
        try:
            rows = db.execute("SELECT * FROM post WHERE owner = ? AND e IS NOT NULL", (owner,)).fetchall()
        finally:
            db.close()
        lines: list[str] = []
        for row in rows:
            outer = json.loads(b64u_decode(row["e"].split(".")[1]))
            lines += [f"{name}: {outer[name]}" for name in ("from", "to", "iat", "exp", "ch", "mv", "v", "jti")]
            lines += [f"{name}: {outer[name][:20]}… (impronta)" for name in ("net", "ct", "cm")]
            lines += [f"parte sigillata: {len(row['s'])} caratteri, illeggibile: {row['s'].split('.')[3][:24]}…"]
            lines += [f"posizione {row['pos']}, arrivata {row['at']}, ritirata: {'sì' if row['fetched'] else 'no'}"]
        return lines

    def in_registry_files(self, words: list[str]) -> str | None:
        """The first of `words` found in any file of the registry."""
        for path in sorted(self.registry.data_dir.iterdir()):
            content = path.read_bytes() if path.is_file() else b""
            for word in words:
                if word.encode() in content:
                    return f"{word} in {path.name}"
        return None

    def digest(self, raw: bytes) -> str:
        return hashlib.sha256(raw).hexdigest()

    def stop(self) -> None:
        """Everything, in order."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda program: program.stop(), [*self.nodes.values(), self.registry]))
