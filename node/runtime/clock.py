"""The system's clocks. Rules never call them: they are handed `now`."""

import time

from node.runtime.ports import Clock


class SystemClock:
    """Wall clock for what people and peers read, monotonic clock for how long something took."""

    def now(self) -> int:
        """Whole Unix seconds."""
        return int(time.time())

    def monotonic(self) -> float:
        """Seconds since some start; unmoved by a change of the time of day."""
        return time.monotonic()


_conforms: type[Clock] = SystemClock
