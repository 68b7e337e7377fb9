"""Planted bugs, named before they were run: the proof that silence of the simulator means something.

Each is a change to the production code (or, where the rule is the shell's, to the shell) that lasts for one run.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

Undo = Callable[[], None]


class Bug(NamedTuple):
    """`plant` changes something and returns what undoes it."""

    name: str
    what: str
    plant: Callable[[], Undo]


TABLE: Final[tuple[Bug, ...]] = ()
NAMES: Final = tuple(bug.name for bug in TABLE)


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of that name for the length of the block; "" plants nothing."""
    undo = next(bug.plant for bug in TABLE if bug.name == name)() if name else lambda: None
    try:
        yield
    finally:
        undo()
