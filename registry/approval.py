"""The guarantor's side: read an exported file on another PC, see what is asked, sign. No store, no network, no clock.

Everything needed is in the file; the roots in it are believed only when they begin at the network id printed in the
protocollo d'intesa, and the drafts only when they say what the bodies themselves asked for.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from protocol import admissions
from protocol.errors import ProtocolError
from protocol.limits import MIB
from protocol.roots import TrustedRoot
from protocol.strict import decode
from protocol.suite import Suite
from registry.ceremony import GuarantorKey
from registry.joining import prepare_join
from schemas.membership import Admission, Approval, ApprovalFile, Pending, PendingFile, Wanted

FILE_MAX: Final = 8 * MIB
POWERS: Final = ("take-in-charge", "pua", "pis", "router")
"""Capabilities that matter for citizens: shown apart before signing."""


class Review(NamedTuple):
    """One request as the guarantor sees it. `set_by_registry` names what the body did not ask for itself."""

    ref: str
    admission: Admission
    draft: bytes
    invited: bool
    at: int
    set_by_registry: tuple[str, ...]


class Exported(NamedTuple):
    """A file from the capofila, checked."""

    root: TrustedRoot
    reviews: tuple[Review, ...]


def read_pending(raw: bytes, suite: Suite, *, net: str | None = None) -> Exported:
    """Raises wrong-network, root-chain, threshold, admission-invalid and what reading a request raises.

    `net`: the id in the protocollo d'intesa; without it, the caller shows the file's own for a person to compare.
    """
    file = decode(raw, PendingFile, max_bytes=FILE_MAX)
    if net is not None and file.net != net:
        raise ProtocolError("wrong-network", field="net", expected=net, got=file.net)
    first, *newer = file.roots
    root = TrustedRoot.start(first.encode(), file.net, suite).walk(text.encode() for text in newer)
    return Exported(root, tuple(_review(item, root) for item in file.items))


def _review(item: Pending, root: TrustedRoot) -> Review:
    prepare_join(msgspec.json.encode(item.request), net=root.net, suite=root.suite)
    draft = item.draft.encode()
    admission = decode(draft, Admission, max_bytes=admissions.ADMISSION_MAX)
    if admission.net != root.net or admission.first != item.request.first:
        raise ProtocolError("admission-invalid", field="net or first", got=item.ref)
    asked, drafted = item.request.wanted, admission
    changed = tuple(name for name in Wanted.__struct_fields__ if getattr(asked, name) != getattr(drafted, name))
    if set(changed) - {"delegated_by"} or (changed and asked.delegated_by is not UNSET):
        raise ProtocolError("admission-invalid", field=changed[0], expected="what the body asked for", got=item.ref)
    return Review(item.ref, admission, draft, item.invited, item.at, changed)


def approve(exported: Exported, key: GuarantorKey, refs: Sequence[str] = ()) -> ApprovalFile:
    """Signs the drafts named, or all. Raises unknown-key (no guarantor of the newest root), not-found."""
    if key.key.kid not in exported.root.guarantors:
        raise ProtocolError("unknown-key", field="key", expected="a guarantor of this network")
    if missing := set(refs) - {review.ref for review in exported.reviews}:
        raise ProtocolError("not-found", field="ref", got=min(missing))
    chosen = [review for review in exported.reviews if not refs or review.ref in refs]
    items = [Approval(review.ref, admissions.sign(review.draft, [key.key])) for review in chosen]
    return ApprovalFile(v=1, net=exported.root.net, items=items)
