"""What a data directory has to be before anything in it is opened: its owner's only, on a disk of this computer.

Nothing is mended in silence: what others could read until now may have been read, and whoever runs the program has to
know. The refusal names the command.
"""

from collections.abc import Iterable
from pathlib import Path

from node.runtime.platform import (
    make_private_dir,
    mode_command,
    network_filesystem,
    readable_by_others,
    restrict_dir,
)
from protocol.errors import ProtocolError

__all__ = ["assert_local", "assert_private", "move_in"]


def move_in(data_dir: Path) -> None:
    """Make a data directory, or take an empty one. Raises dir-exposed when it holds something and is open to others."""
    make_private_dir(data_dir)
    if readable_by_others(data_dir) and not any(data_dir.iterdir()):
        restrict_dir(data_dir)
    assert_private(data_dir)


def assert_private(data_dir: Path, files: Iterable[str] = ()) -> None:
    """Raises dir-exposed, or keys-exposed for the first of `files` (names in it, if there) that others may read."""
    if data_dir.exists() and readable_by_others(data_dir):
        raise ProtocolError("dir-exposed", field=data_dir.name, expected=mode_command(data_dir))
    for path in (data_dir / name for name in files):
        if path.exists() and readable_by_others(path):
            raise ProtocolError("keys-exposed", field=path.name, expected=mode_command(path))


def assert_local(path: Path) -> None:
    """Raises store-on-network: locks and the WAL of SQLite are not safe on a filesystem of another computer."""
    kind = network_filesystem(path)
    if kind is not None:
        raise ProtocolError("store-on-network", field=path.name, got=kind)
