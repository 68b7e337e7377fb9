"""Two heads of one log: whether they contradict each other, and how anybody can see it. No storage, no sending.

    pair = make_pair(held, shown, keys, leaves)       # by who holds the log under `held`; None: nothing contradicts
    check_pair(pair, keys)                            # by anybody: raises unless both cannot be true
    check_evidence(raw, net=net, suite=S1)            # what `heads --export` writes, from the network's id alone
A smaller head is fine: the other follower was asleep. A larger one says nothing until we have grown to it.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from protocol import merkle, notes
from protocol.errors import ProtocolError
from protocol.limits import MIB
from protocol.names import hash_bytes
from protocol.notes import Checkpoint, NoteKey
from protocol.roots import TrustedRoot
from protocol.strict import b64u_encode, decode
from protocol.suite import Suite
from schemas.catalogue import HeadEvidence, HeadPair

EVIDENCE_MAX: Final = 256 * MIB  # as many roots as there may be, each as large as it may be


def walked(raws: Sequence[bytes], net: str, suite: Suite) -> tuple[TrustedRoot, list[NoteKey]]:
    """The newest root, and the log keys of all of them, the newest first: an older head has an older key."""
    root = TrustedRoot.start(raws[0], net, suite)
    keys = [root.log]
    for raw in raws[1:]:
        root = root.update(raw)
        if root.log not in keys:
            keys.insert(0, root.log)
    return root, keys


def read_head(note: str, keys: Iterable[NoteKey]) -> Checkpoint:
    """The head, by whichever of the log's keys signed it. Raises bad-checkpoint."""
    refused = ProtocolError("bad-checkpoint", expected="a key of the log")
    for key in keys:
        try:
            return notes.verify_head(note.encode(), key)
        except ProtocolError as error:
            refused = error
    raise refused


def make_pair(held: str, shown: str, keys: Sequence[NoteKey], leaves: Sequence[bytes]) -> HeadPair | None:
    """`leaves`: leaf hashes of the log under `held`. None when the heads agree, or `shown` is the larger one.

    Raises bad-checkpoint.
    """
    ours, theirs = read_head(held, keys), read_head(shown, keys)
    if not 0 < theirs.size <= ours.size:
        return None
    root = merkle.root(leaves[: theirs.size])
    if root == theirs.root:
        return None
    path = merkle.consistency_path(theirs.size, ours.size, merkle.stored(leaves))
    return HeadPair(held=held, shown=shown, root=b64u_encode(root), path=[b64u_encode(step) for step in path])


class Contradiction(NamedTuple):
    """Two heads that the log's key signed and that cannot both be true."""

    held: Checkpoint
    shown: Checkpoint


def check_pair(pair: HeadPair, keys: Sequence[NoteKey]) -> Contradiction:
    """Raises bad-checkpoint, bad-proof, and heads-agree: then nobody is to be blamed."""
    held, shown = read_head(pair.held, keys), read_head(pair.shown, keys)
    root = hash_bytes(pair.root, field="root")
    path = [hash_bytes(step, field="path") for step in pair.path]
    merkle.verify_consistency(shown.size, held.size, root, held.root, path)
    if root == shown.root:
        raise ProtocolError("heads-agree", got=f"{shown.size} leaves")
    return Contradiction(held, shown)


class Evidence(NamedTuple):
    """What evidence shows, checked."""

    root: TrustedRoot
    found: tuple[Contradiction, ...]


def check_evidence(raw: bytes, *, net: str, suite: Suite) -> Evidence:
    """Every pair holds. Raises what strict reading raises, wrong-network, root-chain, threshold and as `check_pair`."""
    evidence = decode(raw, HeadEvidence, max_bytes=EVIDENCE_MAX)
    if evidence.net != net:
        raise ProtocolError("wrong-network", field="net", expected=net)
    root, keys = walked([text.encode() for text in evidence.roots], net, suite)
    return Evidence(root, tuple(check_pair(pair, keys) for pair in evidence.pairs))
