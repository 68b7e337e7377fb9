"""One of the programs with its clock set ahead by what a file says: `python -m tests.campaigns.shifted FILE MODULE …`.

The file holds one integer, read anew at every look at the clock: all processes of a campaign jump at the same moment.
Only the time of day moves; how long something takes does not.
"""

import mmap
import runpy
import struct
import sys
import time
from pathlib import Path

_OFFSET = struct.Struct("<q")


class Ahead:
    """The file, for whoever moves the clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """So many seconds further, for everybody."""
        self.seconds += seconds
        if not self.path.exists():
            self.path.write_bytes(bytes(mmap.PAGESIZE))
        with self.path.open("r+b") as file:
            file.write(_OFFSET.pack(self.seconds))


def _shift(path: str) -> None:
    with Path(path).open("rb") as file:
        held = mmap.mmap(file.fileno(), mmap.PAGESIZE, access=mmap.ACCESS_READ)
    real = time.time
    time.time = lambda: real() + _OFFSET.unpack_from(held)[0]


if __name__ == "__main__":
    _shift(sys.argv[1])
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
