"""The whole way of a guarded office: a node behind a CONNECT proxy, the body's own authority, nginx before the board."""

import asyncio
import json
import subprocess

import pytest

from node.sandbox import Program
from tests.deploy.test_proxy import PROXIES, found, free_port
from tests.runtime.certificates import Authority
from tests.runtime.test_corporate_network import proxy

HOST = "bacheca.ambito1.example"
NODE = "comune-tavullia"


def founded(root, port):
    """A pilot board known to everybody by its public name."""
    board = Program("registry.cli", root / "bacheca")
    (root / "protocollo.txt").write_text("prova\n")
    (root / "rete.toml").write_text(
        f'[network]\nname = "Ambito 1"\nid = "bacheca"\nurls = ["https://{HOST}"]\npilot = true\nprotocollo = "protocollo.txt"\n'
    )
    board.run("init", "--answers", str(root / "rete.toml"), "--key-dir", str(root / "chiave"), "--port", str(port))
    config = board.data_dir / "raccordo.toml"
    config.write_text(config.read_text().replace("[http]\n", "[http]\nconnections_per_address = 1000\n"))
    board.start()
    return board


def enrolled(root, port, ca_file):
    """A node whose configuration knows the proxy and the authority, and nothing else of the way out."""
    node = Program("node.cli", root / NODE)
    node.run("init", "--id", NODE)
    config = node.data_dir / "raccordo.toml"
    assert "[http]\n" in config.read_text()
    way = f'[http]\nproxy = "http://ufficio:segreta@127.0.0.1:{port}"\nca_file = "{ca_file}"\n'
    config.write_text(config.read_text().replace("[http]\n", way))
    node.start()
    return node


def joined(root, board, node):
    """Asked, admitted, found in the list by the node itself."""
    version = board.ask("protocols")["value"][-1]
    invitation = board.ask("invite", {"node": NODE, "name": NODE})["value"]
    wanted = {
        "node": NODE, "name": "Comune di Tavullia", "ptype": "PT-COMUNE", "territory": ["041065"],
        "protocol": {"version": version["version"], "hash": version["hash"]},
    }  # fmt: skip
    node.ask("join", {"invitation": invitation, "wanted": wanted})
    export, signed = root / "richieste.json", root / "firma.json"
    board.run("pending", "--export", str(export))
    key = next((root / "chiave").glob("*.chiave.json"))
    board.run("approve", str(export), "--key", str(key), "--out", str(signed), "--yes")
    board.run("admit", str(signed))
    node.ask("sync")
    return node.ask("status")["joining"]["state"]


def doctor(node):
    """Findings by name, asked as a person does."""
    line = node._line("doctor", "--json")
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    return {one["name"]: one for one in json.loads(done.stdout)}


@pytest.mark.xdist_group("processes")
async def test_a_node_in_a_guarded_office_joins_and_is_found_well(tmp_path):
    found("nginx")
    authority, port, upstream = Authority(tmp_path), free_port(), free_port()
    for name in ("nginx", "casa"):
        (tmp_path / name).mkdir(mode=0o700)
    command = PROXIES["nginx"](tmp_path / "nginx", authority, port, upstream, HOST)
    front = await asyncio.create_subprocess_exec(*command)
    programs = []
    try:
        async with proxy(port, "ufficio:segreta") as (way, heads):
            board = await asyncio.to_thread(founded, tmp_path / "casa", upstream)
            programs.append(board)
            node = await asyncio.to_thread(enrolled, tmp_path / "casa", way, authority.ca_file)
            programs.append(node)
            assert await asyncio.to_thread(joined, tmp_path / "casa", board, node) == "admitted"
            well = await asyncio.to_thread(doctor, node)
            for one in reversed(programs):
                await asyncio.to_thread(one.stop)
    finally:
        for one in programs:
            one.stop()
        front.terminate()
        await front.wait()
    assert {well[name]["grade"] for name in ("bacheca", "proxy", "autorità", "orologio", "elenco")} == {"ok"}, well
    assert "certificato vale ancora 29 giorni" in well["bacheca"]["text"]
    assert heads and all(head.startswith(f"CONNECT {HOST}:443 ") for head in heads), "the office sees where, not what"
    assert NODE not in "".join(heads)
    logged = (tmp_path / "nginx" / "raccordo.log").read_text()
    assert " /v1/mailbox/... " in logged and " /v1/join 202 " in logged
    assert NODE not in logged and (tmp_path / "nginx" / "raccordo-error.log").read_text() == ""
