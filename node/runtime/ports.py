"""The four ports an engine takes: clock, random, store, keystore. Shapes only; app and cli build the real ones."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:  # the local channel imports this module and needs no SQLite
    import sqlite3

    from node.runtime.store import Outcome

T = TypeVar("T")
KeyState = Literal["current", "next", "old"]
KeyUse = Literal["sign", "seal"]


class Clock(Protocol):
    """The time of day, in whole Unix seconds. Nothing is ever ordered by it (PROTOCOL §1)."""

    def now(self) -> int: ...


class Random(Protocol):
    """Dice. `bytes` are fit for keys and nonces."""

    def bytes(self, n: int) -> bytes: ...

    def uuid4(self) -> str: ...

    def uuid7(self, at: int) -> str: ...

    def uniform(self, low: float, high: float) -> float: ...


class Store(Protocol):
    """See node.runtime.store for the promise."""

    def execute_group(self, commands: "Sequence[Callable[[sqlite3.Connection], T]]") -> "list[Outcome[T]]": ...

    def run(self, command: "Callable[[sqlite3.Connection], T]") -> T: ...

    def read(self, query: "Callable[[sqlite3.Connection], T]") -> T: ...


class KeyEntry(NamedTuple):
    """What may be said about a key: never its seed. `created` in Unix seconds."""

    use: KeyUse
    kid: str
    state: KeyState
    created: int


class Keystore(Protocol):
    """Private seeds by kid. It knows nothing of curves: kid and public keys are computed by protocol.keys."""

    def signing_seed(self, kid: str | None = None) -> tuple[str, bytes]:
        """The current signing key, or the named one. Raises ProtocolError `unknown-key`."""

    def sealing_seeds(self) -> list[tuple[str, bytes, KeyState]]:
        """Every sealing key still held, the current one first: mail may be sealed to any of them."""

    def entries(self) -> list[KeyEntry]: ...

    def add_signing(self, seed: bytes, kid: str, now: int) -> None:
        """Keep a key: the current one when it is the first of its use, else the next."""

    def add_sealing(self, seed: bytes, kid: str, now: int) -> None: ...

    def retire(self, kid: str) -> None:
        """A current key becomes old and the next one current; without a next one it is refused."""

    def destroy(self, kid: str) -> None:
        """Forget an old or next key for ever (PROTOCOL §4: an old sealing key after 70 days)."""

    def vault_key(self) -> bytes:
        """32 bytes that wrap the case keys."""
