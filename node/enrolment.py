"""Becoming a member: first keys, the join request, our routes statement. Commands; the shell does the calls.

The node makes its own keys; the registry never sees a private one. It is in when *it* finds itself in a verified
members document (PROTOCOL §4).
"""

import sqlite3
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from node.body import KEYS_NAME, Body
from node.context import set_setting, setting
from node.engine import store_path
from node.runtime.keystore import Keystore as KeyFile
from node.runtime.platform import replace_private
from node.runtime.ports import Clock, Random
from node.runtime.premises import move_in
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.fingerprint import fingerprint
from protocol.notify import wish as asked_notice
from protocol.statements import sign_routes
from protocol.strict import b64u_encode
from protocol.suite import Suite
from schemas.membership import Invitation, JoinRequest, RoutesStatement, SealingKey, Wanted

CONFIG_NAME: Final = "raccordo.toml"
_WANTED: Final = "wanted"
_INVITATION: Final = "invitation"


class Init(Struct, frozen=True, kw_only=True):
    """What `init` asks: the technical id and, when it can be reached from outside, where it listens."""

    id: str
    listen_host: str | None = None
    listen_port: int = 0
    local_port: int = 0
    relay: bool = False
    plain_http_loopback: bool = False


def init(
    data_dir: Path,
    request: Init,
    *,
    clock: Clock,
    dice: Random,
    suite: Suite,
    migrations: tuple[object, ...] | None = None,
) -> Path:
    """Writes configuration, keys and an empty store; never overwrites keys. Returns the configuration's path."""
    from node.body import MIGRATIONS
    from protocol.names import check_node_id

    check_node_id(request.id, field="id")
    move_in(data_dir)
    keys = data_dir / KEYS_NAME
    if keys.exists():
        raise ProtocolError("config-invalid", field=KEYS_NAME, expected="una cartella nuova", got="chiavi già presenti")
    config = data_dir / CONFIG_NAME
    replace_private(config, _config_text(request).encode())
    keystore = KeyFile.create(keys, dice)
    add_keys(keystore, clock=clock, dice=dice, suite=suite)
    Store.open(store_path(data_dir), MIGRATIONS).close()
    return config


def add_keys(keystore: KeyFile, *, clock: Clock, dice: Random, suite: Suite) -> None:
    """A first signing key and a first sealing key."""
    seed = dice.bytes(32)
    keystore.add_signing(seed, suite.signing_key(seed).kid, clock.now())
    seed = dice.bytes(32)
    keystore.add_sealing(seed, suite.sealing_key(seed).kid, clock.now())


def _config_text(request: Init) -> str:
    lines = [
        'data_dir = "."',
        f"relay = {str(request.relay).lower()}",
        "",
        "[[bodies]]",
        f'id = "{request.id}"',
        "",
        "[http]",
    ]
    if request.listen_host:
        lines += [f'listen_host = "{request.listen_host}"', f"listen_port = {request.listen_port}"]
    lines.append(f"local_port = {request.local_port}")
    if request.plain_http_loopback:
        lines.append("allow_plain_http_loopback = true")
    return "\n".join(lines) + "\n"


def routes_statement(body: Body, *, n: int, urls: list[str], relays: list[str], notify: str | None = None) -> str:
    """Our routes and sealing keys, signed by the current signing key. `notify`: see node.mailbox.notices."""
    now = body.clock.now()
    keys = [SealingKey(x=b64u_encode(key.public), since=now) for key in body.ctx.keys.sealing.values()]
    statement = RoutesStatement(
        net=body.ctx.net, node=body.ctx.me, n=n, since=now, urls=urls, relays=relays, sealing=keys, iat=now,
        notify=notify or UNSET,
    )  # fmt: skip
    return sign_routes(statement, body.ctx.keys.signing)


class JoinWish(Struct, frozen=True, kw_only=True):
    """What the body wants written in its admission, with the invitation and where it can be reached."""

    invitation: Invitation
    wanted: Wanted
    urls: list[str] = []
    relays: list[str] = []
    notify: str | None = None


class Joining(Struct, frozen=True, kw_only=True):
    """State of our enrolment: eight words to read over the telephone; `state` new, pending, admitted."""

    node: str
    name: str
    words: str
    state: str
    ref: str | None = None


def compose(tx: sqlite3.Connection, body: Body, wish: JoinWish) -> JoinRequest:
    """The join request: the same keys and wishes each time it is asked for, so that a retry is harmless."""
    if wish.wanted.node != body.ctx.me:
        raise ProtocolError("bad-shape", field="node", expected=body.ctx.me, got=wish.wanted.node)
    if wish.invitation.exp <= body.clock.now():
        raise ProtocolError("invitation-invalid", field="exp")
    if wish.notify is not None and asked_notice(wish.notify) is None:
        raise ProtocolError("bad-shape", field="notify", expected="one address, and hours after it")
    relays = wish.relays or [relay.id for relay in wish.invitation.relays]
    set_setting(tx, _WANTED, msgspec.json.encode(wish.wanted).decode())
    set_setting(tx, _INVITATION, msgspec.json.encode(wish.invitation).decode())
    return JoinRequest(
        wanted=wish.wanted,
        first=b64u_encode(body.ctx.keys.signing.public),
        routes=routes_statement(body, n=1, urls=wish.urls, relays=relays, notify=wish.notify),
        code=wish.invitation.code or UNSET,
    )


def status(db: sqlite3.Connection, body: Body) -> Joining:
    """Where our enrolment stands, from what we verified ourselves."""
    wanted = setting(db, _WANTED, "")
    name = msgspec.json.decode(wanted, type=Wanted).name if wanted else body.ctx.me
    state = "admitted" if body.ctx.joined else "pending" if wanted else "new"
    if body.ctx.joined:
        name = body.ctx.membership.member(body.ctx.me).name
    words = " ".join(fingerprint(body.ctx.keys.signing.public))
    return Joining(node=body.ctx.me, name=name, words=words, state=state, ref=setting(db, "join_ref", "") or None)


def registry_urls(db: sqlite3.Connection, body: Body) -> list[str]:
    """Where the registry is asked: as the members document says, else as the invitation said."""
    if body.ctx.joined:
        return list(body.ctx.membership.doc.registry.urls)
    held = setting(db, _INVITATION, "")
    return list(msgspec.json.decode(held, type=Invitation).registry) if held else []
