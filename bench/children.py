"""Child processes driven through their standard input and output, one JSON object a line. Nothing is measured here."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

from bench.machine import cpu_of


class Child:
    """`python -m module arguments`, bound to one core when `core` is given. Ended by `close` (end of its input)."""

    def __init__(self, module: str, *arguments: str, core: int | None = None) -> None:
        def bind() -> None:
            if core is not None and (os.cpu_count() or 1) > core:
                os.sched_setaffinity(0, {core})

        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=bind
        )
        self.pid = self._process.pid

    def hear(self) -> dict[str, Any]:
        """The next line it says. Raises ChildProcessError when it ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self._process.args!r} ended with {self._process.wait()}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command, its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        return self.hear()

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_of(self.pid)

    def close(self) -> None:
        """Waits for its end; after ten seconds it is ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def commands() -> AsyncIterator[dict[str, Any]]:
    """Inside the child: the commands as they come, until the end of standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def answer(value: dict[str, Any]) -> None:
    """Inside the child: one line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
