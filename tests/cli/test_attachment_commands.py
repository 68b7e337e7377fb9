"""Files through the command line of two desks: attached, listed, saved, a picture reduced only after it was looked at."""

import contextlib
import io
import random
import stat

import click
import pytest
from PIL import Image

from node import cli_attachments
from node.cli_kit import Session
from node.pictures import PIXELS_MAX, TARGET, reduced
from protocol.attachments import plain_name, saved_name, type_of
from protocol.errors import ProtocolError
from protocol.limits import BLOB_MAX
from protocol.strict import digest
from schemas.bodies import FileRef
from tests.cli.test_case_commands import BASIS, PERSON
from tests.cli.town import Town


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, "comune-tavullia", "distretto")
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", RE="RL-RESP", VO="RL-VOLONT")
    return made


def pdf(path, size=3000):
    path.write_bytes(b"%PDF-1.7\n" + random.Random(size).randbytes(size - 9))
    return path


GPS = {1: "N", 2: (43.0, 52.0, 1.0), 3: "E", 4: (12.0, 45.0, 1.0)}


def photo(path, side=3000, noise=40, **options):
    """A noisy photo with the place it was taken at, lying on its side."""
    dice = random.Random(side)
    small = Image.frombytes("RGB", (side // 4, side // 4), dice.randbytes(3 * (side // 4) ** 2))
    image = small.resize((side, side // 2))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "TelefonoInventato", 6
    exif.get_ifd(0x8825).update(GPS)
    image.save(path, exif=exif, **options)
    return path


def refer(desk, *more, ok=True):
    return desk("refer", "distretto", "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS, "--json", *more, ok=ok)


def leg_of(town):
    return town["comune-tavullia"].json("sent")[0]["leg"]


def test_a_file_is_attached_listed_and_saved_byte_for_byte(town, tmp_path):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    paper, big = pdf(tmp_path / "isee 2026.pdf"), pdf(tmp_path / "verbale.pdf", 1_500_000)
    refer(sender, "--attach", paper, "--attach", big)
    leg = leg_of(town)
    assert (
        "1. isee 2026.pdf (3 KiB) · chi manda, passo 1 · in partenza, 0 di 1 parti"
        in sender("attachments", leg, "--as", "OP").stdout
    )
    assert "0 di 3 parti" in sender("case", leg, "--as", "OP").stdout
    town.carry()
    assert "verbale.pdf (1,4 MiB) · chi manda, passo 1 · arrivato" in receiver("case", leg, "--as", "OP").stdout
    assert [line["state"] for line in sender.json("attachments", leg, "--as", "OP")] == ["confirmed", "confirmed"]
    folder = tmp_path / "salvati"
    folder.mkdir()
    done = receiver.json("save-attachment", leg[-8:], "1", "--as", "OP", "--to", folder)
    saved = folder / "isee 2026.pdf"
    assert done == {"path": str(saved), "type": "application/pdf", "size": 3000}
    assert saved.read_bytes() == paper.read_bytes() and stat.S_IMODE(saved.stat().st_mode) == 0o600
    receiver("save-attachment", leg, "2", "--as", "OP", "--to", tmp_path / "qui.pdf")
    assert (tmp_path / "qui.pdf").read_bytes() == big.read_bytes()
    again = receiver("save-attachment", leg, "1", "--as", "OP", "--to", folder, ok=False)
    assert "Codice: file-exists" in again.stderr, "nothing is overwritten"
    log = receiver.json("access-log", "--as", "RE", "--case", leg)["rows"]
    assert [row["action"] for row in log] == ["read", "save", "save", "save"]


def test_an_answer_takes_a_file_back_to_the_sender(town, tmp_path):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    refer(sender)
    leg = leg_of(town)
    town.carry()
    receiver("ask", leg, "--as", "OP", "--text", "firmare il modulo", "--attach", pdf(tmp_path / "modulo.pdf"))
    town.carry()
    assert "modulo.pdf (3 KiB) · chi riceve, passo 1 · arrivato" in sender("attachments", leg, "--as", "OP").stdout


def test_papers_are_added_to_a_referral_that_was_sent_without_writing_it_again(town, tmp_path):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    refer(sender)
    leg = leg_of(town)
    sender("amend", leg, "--as", "OP", "--attach", pdf(tmp_path / "isee.pdf"))
    town.carry()
    shown = receiver("case", leg, "--as", "OP").stdout
    assert "isee.pdf (3 KiB) · chi manda, passo 2 · arrivato" in shown and "Inventata" in shown
    assert "Serve la scheda completa" in sender("amend", leg, "--as", "OP", ok=False).stderr


def test_what_has_not_come_yet_is_said_and_not_saved(town, tmp_path):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    refer(sender, "--attach", pdf(tmp_path / "carta.pdf"))
    leg = leg_of(town)
    sender.store(lambda tx, body: tx.execute("UPDATE outgoing SET next_at = next_at + 9999999999 WHERE urgent = 2"))
    town.carry()
    assert "in arrivo, 0 di 1 parti" in receiver("attachments", leg, "--as", "OP").stdout
    refused = receiver("save-attachment", leg, "1", "--as", "OP", "--to", tmp_path / "x", ok=False)
    assert "Codice: attachment-arriving" in refused.stderr and not (tmp_path / "x").exists()
    for number in ("0", "2"):
        refused = receiver("save-attachment", leg, number, "--as", "OP", "--to", tmp_path / "x", ok=False)
        assert "Codice: attachment-unknown" in refused.stderr
    for command in (("attachments", leg), ("save-attachment", leg, "1", "--to", tmp_path / "x")):
        assert "role-forbidden" in receiver(*command, "--as", "VO", ok=False).stderr


def test_a_picture_above_the_limit_is_previewed_then_sent_reduced_and_without_its_place(town, tmp_path):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    scan = photo(tmp_path / "carta d'identità.png", 3000)
    assert scan.stat().st_size > BLOB_MAX
    refused = refer(sender, "--attach", scan, ok=False)
    assert '"code":"attachment-too-large"' in refused.stdout and "--preview" in refused.stdout
    look = tmp_path / "guarda"
    shown = sender(
        "refer",
        "distretto",
        "--as",
        "OP",
        "--referral",
        "RK-SEGN",
        *PERSON,
        *BASIS,
        "--attach",
        scan,
        "--preview",
        look,
    )
    assert "Nulla è partito" in shown.stderr and sender.json("sent") == []
    preview = (look / "carta d'identità.jpg").read_bytes()
    refer(sender, "--attach", scan, "--reduce")
    leg = leg_of(town)
    town.carry()
    receiver("save-attachment", leg, "1", "--as", "OP", "--to", tmp_path / "arrivata.jpg")
    arrived = (tmp_path / "arrivata.jpg").read_bytes()
    assert arrived == preview, "what was looked at is what was sent"
    with Image.open(io.BytesIO(arrived)) as image:
        assert not image.getexif() and "exif" not in image.info
        assert image.height > image.width, "upright"
    assert b"TelefonoInventato" not in arrived and len(arrived) <= TARGET


def test_a_person_is_asked_before_a_reduced_picture_leaves(town, tmp_path, monkeypatch):
    scan = photo(tmp_path / "foto.png", 3000)
    terminal = type("Terminal", (), {"isatty": staticmethod(lambda: True)})()
    monkeypatch.setattr(cli_attachments.sys, "stdin", terminal)
    asked = []
    for answer in (False, True):
        monkeypatch.setattr(
            cli_attachments, "ask_yes", lambda question, default, said=answer: asked.append(question) or said
        )
        with contextlib.suppress(click.Abort):
            (file,) = cli_attachments.given_files(Session(tmp_path), (scan,), None, False)
            assert answer and file.content == (tmp_path / "foto-ridotta.jpg").read_bytes()
        (tmp_path / "foto-ridotta.jpg").unlink()
    assert asked == ["Mandare quella ridotta?"] * 2


REFUSED = (
    ("documento.docx", b"PK\x03\x04" + bytes(100), "attachment-type"),
    ("foto.heic", b"\0\0\0\x18ftypheic" + bytes(100), "attachment-type"),
    ("scansione.tif", b"II*\0" + bytes(100), "attachment-type"),
    ("fattura.pdf", b"MZ" + bytes(100), "attachment-type"),
    ("pagina.pdf", b"<html><script>", "attachment-type"),
    ("grande.pdf", b"%PDF-" + bytes(BLOB_MAX), "attachment-too-large"),
    ("vuoto.pdf", b"", "attachment-type"),
    ("bomba.png", b"", "attachment-unreadable"),
    ("guasta.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "attachment-unreadable"),
)


@pytest.mark.parametrize(("name", "raw", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_may_not_travel_is_refused_with_what_to_do_and_nothing_is_sent(town, tmp_path, name, raw, code):
    path = tmp_path / name
    if name == "bomba.png":
        Image.new("1", (20_000, 20_000)).save(path)
        assert path.stat().st_size < 100_000, "small to send, huge to decode"
    else:
        path.write_bytes(raw)
    sender = town["comune-tavullia"]
    refused = refer(sender, "--attach", path, "--reduce", ok=False)
    assert f'"code":"{code}"' in refused.stdout and '"fix":"' in refused.stdout
    assert sender.json("sent") == []


def test_a_reduced_picture_is_the_same_each_time_and_never_above_what_it_aims_at(tmp_path):
    for mode, name in (
        ("RGB", "a.png"),
        ("L", "b.png"),
        ("RGBA", "c.png"),
        ("P", "d.png"),
        ("CMYK", "e.jpg"),
        ("1", "f.png"),
    ):
        path = tmp_path / name
        Image.effect_noise((1700, 2400), 80).convert(mode).save(path)
        raw = path.read_bytes()
        small = reduced(raw)
        assert small == reduced(raw) and type_of(small) == "image/jpeg" and len(small) <= TARGET
    with pytest.raises(ProtocolError) as refused:
        reduced(b"%PDF-1.7")
    assert refused.value.code == "attachment-type"
    assert PIXELS_MAX < 200_000_000


@pytest.mark.parametrize(
    ("given", "travels"),
    [("../../etc/passwd", "passwd"), ("C:\\Users\\x\\isee.pdf", "isee.pdf"), ("fatt\u202efdp.exe", "fattfdp.exe"), ("", "allegato"),
     ("..", "allegato"), ("a\nb.pdf", "ab.pdf"), ("x" * 300 + ".pdf", "x" * 116 + ".pdf"), ("  .  ", "allegato")],
)  # fmt: skip
def test_a_name_travels_without_path_and_without_what_cannot_be_seen(given, travels):
    assert plain_name(given) == travels


@pytest.mark.parametrize(
    ("name", "kind", "saved"),
    [("isee.pdf", "application/pdf", "isee.pdf"), ("isee.exe", "application/pdf", "isee.exe.pdf"), ("con", "image/png", "allegato-con.png"),
     ("-rf", "image/jpeg", "allegato-rf.jpg"), ("foto.jpeg", "image/jpeg", "foto.jpg"), ("NUL.pdf", "application/pdf", "allegato-NUL.pdf")],
)  # fmt: skip
def test_a_file_is_saved_under_a_name_no_system_takes_for_something_else(name, kind, saved):
    assert saved_name(FileRef(sha256=digest(b""), size=1, type=kind, name=name), 1) == saved
