"""Configuration files, right and wrong."""

import sys

import pytest

from node.runtime.config import NodeConfig, RegistryConfig, load_config, load_secret
from protocol.errors import ProtocolError

GOOD = """
data_dir = "dati"
relay = true

[[bodies]]
id = "comune-tavullia"
passphrase_file = "frase.txt"

[http]
listen_host = "0.0.0.0"
listen_port = 8443
ca_file = "/etc/ca.pem"
"""


def refused(tmp_path, text, type_=NodeConfig):
    path = tmp_path / "nodo.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProtocolError) as caught:
        load_config(path, type_)
    assert caught.value.code == "config-invalid"
    return caught.value.field, caught.value.expected, caught.value.got


def test_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "nodo.toml"
    path.write_text(GOOD)
    config = load_config(path, NodeConfig)
    assert config.data_dir == str(tmp_path / "dati")
    assert config.bodies[0].passphrase_file == str(tmp_path / "frase.txt")
    assert config.http.ca_file == "/etc/ca.pem"
    assert (config.relay, config.http.listen_port, config.http.local_port) == (True, 8443, 0)


def test_an_unknown_key_is_an_error_with_a_hint_and_its_line(tmp_path):
    assert refused(tmp_path, GOOD + 'prxy = "http://p:3128"\n') == (
        "http.prxy",
        "chiave sconosciuta: forse «proxy»?",
        "riga 13",
    )
    assert refused(tmp_path, GOOD.replace("relay", "rely"))[0::2] == ("rely", "riga 3")
    field, expected, line = refused(tmp_path, GOOD.replace("passphrase_file", "password"))
    assert (field, line) == ("bodies.password", "riga 7")
    assert "id" in expected
    assert refused(tmp_path, GOOD, RegistryConfig)[0] == "relay"


@pytest.mark.parametrize(
    ("change", "field", "expected", "line"),
    [
        (("8443", '"8443"'), "http.listen_port", "un numero intero", "riga 11"),
        (("8443", "99999"), "http.listen_port", "un numero non maggiore di 65535", "riga 11"),
        (("comune-tavullia", "Comune di Tavullia"), "bodies.id", "lettere minuscole, cifre e trattini", "riga 6"),
        (('data_dir = "dati"', ""), "", "manca «data_dir»", None),
        (('"dati"', '""'), "data_dir", "un testo non vuoto", "riga 2"),
        (("relay = true", 'log_level = "tutto"'), "log_level", "uno dei valori ammessi", "riga 3"),
        (("true", "1"), "relay", "true oppure false", "riga 3"),
    ],
)
def test_a_wrong_value_says_what_is_expected_and_where(tmp_path, change, field, expected, line):
    assert refused(tmp_path, GOOD.replace(*change)) == (field, expected, line)


def test_one_body_for_now(tmp_path):
    assert refused(tmp_path, GOOD + '[[bodies]]\nid = "altro"\n')[1] == "un elemento solo, per ora"


def test_broken_toml_names_line_and_column(tmp_path):
    assert refused(tmp_path, "data_dir = \n") == ("nodo.toml", "TOML valido", "riga 1, colonna 12")
    path = tmp_path / "latin.toml"
    path.write_bytes('data_dir = "citt\xe0"'.encode("latin-1"))
    with pytest.raises(ProtocolError, match="UTF-8"):
        load_config(path, NodeConfig)


def test_an_absent_file_says_to_run_init(tmp_path):
    with pytest.raises(ProtocolError, match="config-missing"):
        load_config(tmp_path / "no.toml", NodeConfig)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_secret_file_has_to_be_private(tmp_path):
    secret = tmp_path / "frase.txt"
    secret.write_text("parole segrete\n")
    secret.chmod(0o644)
    with pytest.raises(ProtocolError, match="keys-exposed"):
        load_secret(secret)
    secret.chmod(0o600)
    assert load_secret(secret) == "parole segrete"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_file_with_the_password_of_a_proxy_has_to_be_private(tmp_path):
    path = tmp_path / "nodo.toml"
    path.write_text(GOOD + 'proxy = "http://utente:parola@proxy:3128"\n')
    path.chmod(0o644)
    with pytest.raises(ProtocolError, match="keys-exposed"):
        load_config(path, NodeConfig)
    path.chmod(0o600)
    assert load_config(path, NodeConfig).http.proxy
