"""Agreements of a network come from its set-up file and stand in the signed list of members."""

from node.runtime.clock import SystemClock
from node.runtime.config import RegistryConfig, load_config
from node.runtime.dice import SystemDice
from protocol.agreements import read_agreements
from protocol.suite import S1
from registry.engine import RegistryEngine
from registry.opening import open_keys, open_store
from tests.registry.test_cli import answers, shell

__all__ = ["shell"]
WORDS = "Al distretto la presa in carico la chiedono i comuni."
ROWS = """
[[agreements]]
id = "PIC-1"
to = ["distretto"]
from = ["PT-COMUNE"]
kinds = ["RK-PIC"]
text = "{}"
"""


def test_agreements_of_a_set_up_file_stand_in_the_signed_list_of_members(shell):
    file = answers(shell.path / "a.toml")
    file.write_text(file.read_text() + ROWS.format(WORDS))
    shell.run("init", "--answers", file, "--key-dir", "k")
    config = load_config(shell.path / "bacheca" / "raccordo.toml", RegistryConfig)
    store = open_store(config)
    engine = RegistryEngine(suite=S1, clock=SystemClock(), dice=SystemDice(), keystore=open_keys(config))
    held = store.read(engine.membership).doc.agreements
    store.close()
    (one,) = read_agreements(held)
    assert (one.id, one.to, one.senders, one.kinds) == ("PIC-1", ["distretto"], ["PT-COMUNE"], {"RK-PIC"})
    assert one.text == WORDS


def test_a_set_up_file_with_an_agreement_that_says_nothing_is_refused(shell):
    file = answers(shell.path / "a.toml")
    file.write_text(file.read_text() + ROWS.format(""))
    refused = shell.run("init", "--answers", file, "--key-dir", "k", code=1)
    assert "config-invalid" in refused.stderr and "agreements" in refused.stderr
    assert not (shell.path / "bacheca").exists()
