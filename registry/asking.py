"""What the command line asks and is answered: shapes only, so that a command starts without cryptography or a store."""

from typing import Literal, NamedTuple

from msgspec import Struct

from schemas.membership import Guarantor, Policy

What = Literal["root", "members", "signing-key", "sealing-key", "publication"]


class Expiry(NamedTuple):
    """Something with an end. `days` left are rounded down; `level` is the warning it falls under, 0 when over."""

    what: What
    node: str
    exp: int
    days: int
    level: int


class Installed(NamedTuple):
    """The root in force from now on."""

    n: int
    net: str
    pilot: bool
    version: int


class Admitted(NamedTuple):
    """What a run of `admit` did."""

    nodes: tuple[str, ...]
    version: int


# -- requests


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No arguments."""


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    node: str


class Invite(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    node: str | None = None
    name: str = ""


class Delegate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    by: str
    nodes: list[str]


class Refs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    refs: list[str] = []


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """Files, as text."""

    files: list[str]


class Amend(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A changed entry of a member; what is left out stays."""

    node: str
    name: str | None = None
    ptype: str | None = None
    caps: list[str] | None = None
    territory: list[str] | None = None
    protocol: str | None = None
    recovery: str | None = None


class NewProtocol(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`document`: base64 of the bytes."""

    version: str
    media: str
    document: str


class Version(Struct, frozen=True, forbid_unknown_fields=True):
    version: str


class Plan(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The next root; without guarantors, those of the root in force."""

    guarantors: list[Guarantor] = []
    threshold: int = 0
    admission_threshold: int = 0
    pilot: bool = False
    new_server_keys: bool = False
    policy: Policy | None = None


# -- answers


class Waiting(Struct, frozen=True, kw_only=True):
    """One pending request as the capofila reads it; `words` are compared over the telephone."""

    ref: str
    node: str
    name: str
    ptype: str
    caps: list[str]
    words: str
    at: int
    invited: bool
    delegated_by: str | None


class MemberRow(Struct, frozen=True, kw_only=True):
    """One member with its state. `outdated`: it accepted an older version of the protocollo than the one in force."""

    node: str
    name: str
    ptype: str
    status: str
    since: int
    caps: list[str]
    territory: list[str]
    protocol: str
    outdated: bool
    delegated_by: str | None
    words: str
    reachable: bool
    public_rev: int
    network_rev: int


class Members(Struct, frozen=True, kw_only=True):
    """The list as signed, with what is about to end."""

    network: str
    net: str
    pilot: bool
    version: int
    exp: int
    members: list[MemberRow]
    warnings: list[Expiry]


class Status(Struct, frozen=True, kw_only=True):
    """The board at a glance. `guarantor_keys`: where this server was told guarantors' keys were made.

    `untold`: restored from a copy, and it signs nothing until somebody says what members have seen. `urls`: where the
    network says that this board is; `relays`: mailboxes kept by members, id → URL.
    """

    net: str
    name: str
    pilot: bool
    root: int
    root_exp: int
    members: int
    version: int
    version_exp: int
    log: int
    pending: int
    warnings: list[Expiry]
    key_dir: str
    untold: bool = False
    urls: list[str] = []
    relays: dict[str, str] = {}


class ProtocolRow(Struct, frozen=True, kw_only=True):
    """A version of the protocollo, its hash, and who accepted it."""

    version: str
    hash: str
    media: str
    at: int
    accepted_by: list[str]


class Text(Struct, frozen=True):
    text: str


class MapView(Struct, frozen=True, forbid_unknown_fields=True):
    members: bool = False
