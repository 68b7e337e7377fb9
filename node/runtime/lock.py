"""The lock that makes one process the owner of a store. Not a lock between threads.

The file `<db>.lock` is never deleted (deleting a lock file lets two processes hold two locks). While held it contains
the owner's process id; a clean release empties it, so whoever finds an id in a free lock knows the owner died.
"""

import os
from pathlib import Path

from node.runtime.platform import PRIVATE_FILE, try_lock
from protocol.errors import ProtocolError


class StoreLock:
    """Held from construction to `release`. Raises ProtocolError `store-busy`, `got` naming the holder's process id."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE)
        if not try_lock(self._descriptor):
            owner = _owner(self._descriptor)
            os.close(self._descriptor)
            raise ProtocolError("store-busy", field=path.name, got=f"pid {owner or '?'}")
        self.previous_owner_died = bool(_owner(self._descriptor))
        try:
            self._write(str(os.getpid()))
        except OSError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Say that the store was closed in order, then let it go."""
        self._write("")
        os.close(self._descriptor)

    def _write(self, owner: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, owner.encode("ascii"))


def lock_owner(path: Path) -> int | None:
    """The process id that holds the lock at `path`; None when it is free. Used by doctor; takes nothing."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        return None if try_lock(descriptor) else int(_owner(descriptor) or 0)
    finally:
        os.close(descriptor)


def _owner(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 20).decode("ascii", "replace").strip()
