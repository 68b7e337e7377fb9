"""What a network is made of, as data: names, addresses, protocollo, comuni, rules. A second network is another file.

A set-up file (`raccordo-registry init --answers FILE`) looks like this; everything below `[network]` may be absent:

    [network]
    name = "Ambito Territoriale Sociale n. 1"
    id = "bacheca"
    urls = ["https://bacheca.example"]
    guarantors = ["Ente capofila", "Distretto", "Consulta del terzo settore"]
    threshold = 2
    admission_threshold = 1
    pilot = false
    protocollo = "protocollo.pdf"          # beside this file
    comuni = "comuni.csv"                  # rows as in schemas/vocab/comuni.csv
    [policy]
    members_days = 7
    [[relays]]
    id = "distretto"
    url = "https://distretto.example"
    [[agreements]]                         # who may refer what to whom: protocol.agreements
    id = "PIC-1"
    to = ["distretto"]
    from = ["PT-COMUNE"]
    kinds = ["RK-PIC"]
    text = "La presa in carico del distretto la chiedono i comuni."
"""

import csv
import json
import sqlite3
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from protocol.agreements import read_agreements
from protocol.errors import ProtocolError
from registry.board import Board, set_setting
from registry.members import add_protocollo
from schemas.membership import Form, Name, NodeId, Policy, Registry, Relay, Url

COMUNI_COLUMNS: Final = ("istat_code", "name")


class NetworkAnswers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who the network is and who guarantees it. A guarantor is a name, or a name with the public key it brings."""

    name: Name
    id: NodeId
    urls: Annotated[list[Url], Meta(min_length=1, max_length=8)]
    guarantors: Annotated[list[Name], Meta(max_length=32)] = []
    threshold: Annotated[int, Meta(ge=1)] = 2
    admission_threshold: Annotated[int, Meta(ge=1)] = 1
    pilot: bool = False
    protocollo: str = ""
    protocollo_version: Name = "1"
    comuni: str = ""


class Answers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole set-up file."""

    network: NetworkAnswers
    policy: Policy = Policy()
    relays: list[Relay] = []
    forms: list[Form] = []
    rules: list[dict[str, object]] = []
    agreements: list[dict[str, object]] = []


class Document(Struct, frozen=True):
    """A version of the protocollo d'intesa as signed."""

    version: str
    media: str
    raw: bytes


class NetworkSetup(Struct, frozen=True, kw_only=True):
    """What `configure` writes into the store."""

    registry: Registry
    relays: tuple[Relay, ...] = ()
    comuni: tuple[Mapping[str, str], ...] = ()
    rules: tuple[Mapping[str, object], ...] = ()
    agreements: tuple[Mapping[str, object], ...] = ()
    forms: tuple[Form, ...] = ()
    protocollo: Document | None = None

    def apply(self, tx: sqlite3.Connection, board: Board) -> None:
        """Inside the caller's transaction."""
        for name, value in (("registry", self.registry), ("relays", self.relays), ("forms", self.forms)):
            set_setting(tx, name, msgspec.json.encode(value).decode())
        set_setting(tx, "comuni", json.dumps([dict(row) for row in self.comuni], ensure_ascii=False))
        for name, rows in (("rules", self.rules), ("agreements", self.agreements)):
            set_setting(tx, name, json.dumps([dict(row) for row in rows], ensure_ascii=False))
        if self.protocollo is not None:
            add_protocollo(tx, board, self.protocollo.version, self.protocollo.media, self.protocollo.raw)


def read_answers(path: Path) -> Answers:
    """A set-up file. Raises config-missing, config-invalid naming the key."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(raw, Answers)
    except FileNotFoundError:
        raise ProtocolError("config-missing", field=path.name) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ProtocolError("config-invalid", field=path.name, got=str(error)) from None


def network_setup(answers: Answers, base: Path) -> NetworkSetup:
    """With the files it names, read beside `base`."""
    network = answers.network
    return NetworkSetup(
        registry=Registry(network.id, network.urls),
        relays=tuple(answers.relays),
        comuni=read_comuni(base / network.comuni) if network.comuni else (),
        rules=tuple(answers.rules),
        agreements=_agreements(answers.agreements),
        forms=tuple(answers.forms),
        protocollo=read_document(base / network.protocollo, network.protocollo_version) if network.protocollo else None,
    )


def _agreements(rows: list[dict[str, object]]) -> tuple[Mapping[str, object], ...]:
    try:
        read_agreements(map(msgspec.json.encode, rows))
    except ProtocolError as wrong:
        raise ProtocolError("config-invalid", field="agreements", got=str(wrong.__cause__)) from None
    return tuple(rows)


def read_comuni(path: Path) -> tuple[Mapping[str, str], ...]:
    """Rows of the network's own comuni vocabulary."""
    try:
        rows = [
            {k: (v or "").strip() for k, v in row.items()}
            for row in csv.DictReader(path.read_text("utf-8").splitlines())
        ]
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        raise ProtocolError("config-invalid", field="comuni", got=path.name) from None
    if not rows or any(not row.get(column) for row in rows for column in COMUNI_COLUMNS):
        raise ProtocolError("config-invalid", field="comuni", expected=", ".join(COMUNI_COLUMNS), got=path.name)
    return tuple(rows)


_MEDIA: Final = {".pdf": "application/pdf", ".txt": "text/plain; charset=utf-8", ".p7m": "application/pkcs7-mime"}


def read_document(path: Path, version: str) -> Document:
    """The signed document, byte for byte. Raises config-invalid."""
    try:
        raw = path.read_bytes()
    except OSError:
        raise ProtocolError("config-invalid", field="protocollo", got=path.name) from None
    return Document(version, _MEDIA.get(path.suffix.lower(), "application/octet-stream"), raw)
