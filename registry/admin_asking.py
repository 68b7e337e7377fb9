"""What the interface for administering asks and is answered: shapes only, light enough for a command line."""

from typing import Annotated, Final

from msgspec import Meta, Struct

PREFIX: Final = "/admin/v1"
SCOPES: Final = {
    "board:read": ("vedere rete, enti, richieste, registro pubblico", "see network, members, requests, log"),
    "members:write": (
        "invitare, ammettere con le firme dei garanti, sospendere",
        "invite, admit with signatures, suspend",
    ),
    "board:write": ("protocollo d'intesa e oggetti pubblicati", "protocollo d'intesa and published objects"),
    "audit:read": ("leggere che cosa hanno fatto le applicazioni", "read what applications did"),
}
"""Scope → what it is for, in Italian and English."""


class AppAdd(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new application: what it may do, and for how many days."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$")]
    scopes: list[str]
    days: Annotated[int, Meta(ge=1, le=730)] = 365


class AppName(Struct, frozen=True, forbid_unknown_fields=True):
    id: str


class Who(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the token says that calls."""

    app: str


class LogView(Struct, frozen=True):
    """The public log: how many entries, and its newest signed head."""

    size: int
    note: str


class StatementRow(Struct, frozen=True):
    """A member's own statements in force: how many keys followed the first, the number of its routes, since when."""

    node: str
    keys: int
    routes: int
    since: int


class QuotaRow(Struct, frozen=True):
    """What a member used today (UTC) of what it may."""

    node: str
    what: str
    used: int
    most: int


class Call(Struct, frozen=True):
    """What an application changed, and when."""

    at: int
    app: str
    command: str
    node: str
