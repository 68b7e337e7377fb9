"""Where the data lies: its owner's only, and on a disk of this computer; else nothing starts, and the command is said."""

import os
import sys
from pathlib import Path

import pytest

from node.runtime.platform import network_filesystem
from node.runtime.premises import assert_private, move_in
from node.runtime.store import Store
from protocol.errors import ProtocolError
from tests.cli.town import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="access lists instead of modes")

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
nas:/x /srv/dati\040rete {kind} rw 0 0
tmpfs /srv/dati\040rete/tmp tmpfs rw 0 0
//nas/y /srv/con\134barra cifs rw 0 0
/dev/sdb1 /media/chiavetta fuseblk rw 0 0
"""


@pytest.fixture
def mounted(monkeypatch):
    def mount(text):
        real = Path.read_text
        monkeypatch.setattr(
            Path, "read_text", lambda self, **kw: text if str(self) == "/proc/self/mounts" else real(self, **kw)
        )

    return mount


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "afs", "vboxsf", "davfs"])
def test_a_network_filesystem_is_recognised_by_the_mount_table(mounted, kind):
    mounted(MOUNTS.replace("{kind}", kind))
    assert network_filesystem(Path("/srv/dati rete/nodo")) == kind
    assert network_filesystem(Path("/srv/dati rete")) == kind
    assert network_filesystem(Path("/srv/con\\barra/a")) == "cifs"
    assert network_filesystem(Path("/srv/dati rete/tmp/a")) is None
    assert network_filesystem(Path("/srv/dati retex")) is None
    assert network_filesystem(Path("/media/chiavetta/a")) is None


def test_the_way_to_a_network_disk_through_a_link_is_seen(mounted, tmp_path):
    (tmp_path / "link").symlink_to("/srv/dati rete")
    mounted(MOUNTS.replace("{kind}", "nfs"))
    assert network_filesystem(tmp_path / "link" / "nodo") == "nfs"


def test_no_store_is_made_or_opened_on_a_network_disk(mounted, tmp_path):
    path = tmp_path / "nodo" / "raccordo.db"
    Store.open(path, ()).close()
    mounted(f"/dev/vda / ext4 rw 0 0\nnas:/x {tmp_path} nfs4 rw 0 0\n")
    for place in (path, tmp_path / "nuovo" / "raccordo.db"):
        with pytest.raises(ProtocolError, match="store-on-network") as refused:
            Store.open(place, ())
        assert refused.value.got == "nfs4"
    assert not (tmp_path / "nuovo").exists()


def test_a_directory_open_to_others_is_refused_with_the_command(tmp_path):
    folder = tmp_path / "dati di prova"
    for mode in (0o755, 0o770, 0o701, 0o720):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
        with pytest.raises(ProtocolError, match="dir-exposed") as refused:
            assert_private(folder)
        assert refused.value.expected == f"run: chmod 700 '{folder}'"
    folder.chmod(0o700)
    assert_private(folder)


def test_an_empty_directory_is_taken_and_one_in_use_is_not(tmp_path):
    empty, used = tmp_path / "vuota", tmp_path / "usata"
    empty.mkdir(mode=0o755)
    used.mkdir(mode=0o755)
    (used / "lettera.txt").write_text("altro")
    move_in(empty)
    assert empty.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ProtocolError, match="dir-exposed"):
        move_in(used)
    assert used.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("name", "mode", "command"),
    [
        (".", 0o755, "chmod 700"),
        ("raccordo.db", 0o644, "chmod 600"),
        ("chiavi.json", 0o640, "chmod 600"),
        ("local.json", 0o604, "chmod 600"),
        ("frase.txt", 0o644, "chmod 600"),
        ("raccordo.toml", 0o644, "chmod 600"),
    ],
)
def test_nothing_starts_while_others_may_read_it_and_the_command_mends_it(tmp_path, monkeypatch, name, mode, command):
    """Through the command line, as a person sees it: what is wrong, and what to type."""
    monkeypatch.setenv("RACCORDO_LANG", "it")
    data = tmp_path / "nodo"
    run("--dir", data, "init", "--id", "comune-x")
    (data / "frase.txt").write_text("una frase segreta\n")
    (data / "local.json").write_text("{}")
    for path in data.iterdir():
        path.chmod(0o600)
    config = (data / "raccordo.toml").read_text()
    if name == "frase.txt":
        (data / "raccordo.toml").write_text(config.replace('"comune-x"', '"comune-x"\npassphrase_file = "frase.txt"'))
    if name == "raccordo.toml":
        (data / "raccordo.toml").write_text(config + 'proxy = "http://utente:parola@proxy.interno:3128"\n')
    target = data / name
    target.chmod(mode)
    refused = run("--dir", data, "alarms", ok=False)
    assert refused.exit_code == 1
    said = " ".join(refused.stderr.split())
    assert f"eseguire «{command} {target.resolve()}»".replace("/.»", "»") in said
    assert ("cartella dei dati è aperta" if name == "." else "leggibile da altri") in said
    os.chmod(target, int(command.split()[1], 8))
    if name != "frase.txt":  # that one would now be asked for, and these keys have none
        assert run("--dir", data, "alarms").stdout.strip() == "Nessun allarme."
