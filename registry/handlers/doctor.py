"""POST /v1/doctor: the checks of the intake on anything a member would send, every fault at once, nothing stored.

{"what":"publication","ok":false,"faults":[{"code":"catalogue-root","field":"manifest","happened":"…","fix":"…"}]}
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from node.runtime.routes import Reply, json_reply
from protocol import contents, envelope, jws, publications
from protocol.errors import ProtocolError
from protocol.limits import LIFETIME_MAX, ROUTING_MAX, SEALED_MAX
from protocol.members import Membership
from protocol.strict import decode, scan
from registry import intake, joining, statements
from registry.service import Asked, Service
from schemas.catalogue import CataloguePost, Visibility
from schemas.wire import Envelope, Routing

DOCTOR_MAX: Final = intake.POST_MAX
FAULTS_MAX: Final = 200
"""Faults told at once: nobody reads more, and anybody may ask."""


class Fault(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One thing that is wrong, with what to do about it (Italian)."""

    code: str
    happened: str
    fix: str
    retry: str
    field: str | UnsetType = UNSET
    expected: str | UnsetType = UNSET
    got: str | UnsetType = UNSET


class Diagnosis(Struct, frozen=True):
    """`what` was recognised: envelope, publication, statement, join or nothing."""

    what: str
    ok: bool
    faults: list[Fault]


async def doctor(service: Service, asked: Asked) -> Reply:
    """Anybody's: it tells nothing that the sender does not hold, and keeps nothing."""
    raw = asked.body
    return json_reply(await service.read(lambda db: diagnose(db, service, raw)))


def diagnose(db: sqlite3.Connection, service: Service, raw: bytes) -> Diagnosis:
    """Recognises what it is by its member names, and runs every check that can still be run."""
    try:
        names = msgspec.json.decode(scan(raw, max_bytes=DOCTOR_MAX), type=dict[str, msgspec.Raw]).keys()
    except ProtocolError as error:
        return _diagnosis("nothing", [error])
    except msgspec.MsgspecError:
        return _diagnosis("nothing", [ProtocolError("bad-shape", expected="a JSON object")])
    for what, member, checks in _KINDS:
        if member in names:
            return _diagnosis(what, _distinct(checks(db, service, raw)))
    expected = ", ".join(member for _, member, _ in _KINDS)
    return _diagnosis("nothing", [ProtocolError("bad-shape", expected=f"one of the members {expected}")])


def _diagnosis(what: str, errors: list[ProtocolError]) -> Diagnosis:
    return Diagnosis(what, not errors, [_fault(error) for error in errors])


def _fault(error: ProtocolError) -> Fault:
    problem = error.problem
    return Fault(
        code=error.code, happened=problem.it, fix=problem.fix, retry=problem.retry,
        field=error.field or UNSET, expected=error.expected or UNSET, got=error.got or UNSET,
    )  # fmt: skip


def _distinct(errors: Iterator[ProtocolError]) -> list[ProtocolError]:
    found: dict[tuple[str, str | None], ProtocolError] = {}
    for error in errors:
        found.setdefault((error.code, error.field), error)
        if len(found) == FAULTS_MAX:
            break
    return list(found.values())


def _refusals(*checks: Callable[[], object]) -> Iterator[ProtocolError]:
    """What each check says, whatever the ones before it said."""
    for check in checks:
        try:
            check()
        except ProtocolError as error:
            yield error


# -- envelopes


def _envelope(db: sqlite3.Connection, service: Service, raw: bytes) -> Iterator[ProtocolError]:
    membership, now = service.membership, service.clock.now()
    try:
        parts = decode(raw, Envelope, max_bytes=ROUTING_MAX + SEALED_MAX + 64)
        unverified = jws.parse_compact(parts.e, jws.MSG, max_bytes=ROUTING_MAX)
        routing = decode(unverified.payload, Routing, max_bytes=ROUTING_MAX)
    except ProtocolError as error:
        yield error
        return
    yield from _refusals(
        lambda: envelope.verify_relay(parts.e, parts.s, membership, net=membership.net, now=now),
        lambda: jws.verify_member(unverified, routing.sender, membership),
        lambda: _same("net", routing.net, membership.net, "wrong-network"),
        lambda: _same("ct", routing.ct, envelope.ct_of(parts.s), "ct-mismatch"),
        lambda: membership.active(routing.sender),
        lambda: membership.active(routing.to),
        lambda: _times(routing, now),
        lambda: _same("v", str(routing.v), "1", "unsupported-version"),
    )
    if routing.sender == routing.to:
        yield ProtocolError("to-self", field="to")


def _same(field: str, got: str, expected: str, code: str) -> None:
    if got != expected:
        raise ProtocolError(code, field=field, expected=expected)


def _times(routing: Routing, now: int) -> None:
    if routing.exp <= now:
        raise ProtocolError("expired", field="exp", expected=f"after {now}")
    if routing.exp - routing.iat > LIFETIME_MAX:
        raise ProtocolError("bad-lifetime", field="exp", expected=f"within {LIFETIME_MAX} s after iat")


# -- catalogues


def _publication(db: sqlite3.Connection, service: Service, raw: bytes) -> Iterator[ProtocolError]:
    membership = service.membership
    try:
        post = decode(raw, CataloguePost, max_bytes=DOCTOR_MAX)
    except ProtocolError as error:
        yield error
        return
    yield from _refusals(lambda: intake.prepare(db, raw, membership, service.clock.now()))
    try:
        signed = publications.read_publication(post.publication, membership, membership.net)
    except ProtocolError as error:
        yield error
        return
    publication = signed.publication
    yield from _refusals(lambda: publications.check_manifest(publication, post.manifest))
    for leaf, line in post.records.items():
        yield from _record(leaf, line, publication.vis)


def _record(leaf: str, line: str, vis: Visibility) -> Iterator[ProtocolError]:
    """Every fault of one line; the place is named by the leaf hash and the path inside."""
    found = list(_refusals(lambda: publications.read_record(line, vis)))
    if found and found[0].code.startswith("catalogue-"):
        found = list(contents.faults(msgspec.json.decode(line)))
    if publications.leaf_hash(line) != leaf:
        found.append(ProtocolError("catalogue-root", field="leaf"))
    for error in found:
        yield ProtocolError(error.code, field=f"{leaf} {error.field or ''}".strip(), expected=error.expected)


# -- statements and requests to join


def _statement(db: sqlite3.Connection, service: Service, raw: bytes) -> Iterator[ProtocolError]:
    yield from _refusals(lambda: statements.prepare_statement(raw, service.membership, service.clock.now()))


def _join(db: sqlite3.Connection, service: Service, raw: bytes) -> Iterator[ProtocolError]:
    membership: Membership = service.membership
    yield from _refusals(lambda: joining.prepare_join(raw, net=membership.net, suite=membership.root.suite))


Checks = Callable[[sqlite3.Connection, Service, bytes], Iterator[ProtocolError]]
_KINDS: Final[tuple[tuple[str, str, Checks], ...]] = (
    ("envelope", "e", _envelope),
    ("publication", "publication", _publication),
    ("statement", "statements", _statement),
    ("join", "wanted", _join),
)
