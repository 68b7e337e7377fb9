"""Counters and gauges as plain instances, and their Prometheus text. No registry of them: whoever makes one shows it.

A label names a closed set (a route, a code), never a member, a person or a case.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from node.runtime.routes import Call, Reply, Route

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """A number that only grows, one per combination of label values."""

    def __init__(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.help = help_
        self.labels = labels
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def inc(self, *label_values: str, by: float = 1) -> None:
        if len(label_values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}")
        self.values[label_values] = self.values.get(label_values, 0) + by

    def lines(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} counter"
        for key in sorted(self.values):
            pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(self.labels, key, strict=True))
            yield f"{self.name}{{{pairs}}} {self.values[key]:.17g}" if pairs else f"{self.name} {self.values[key]:.17g}"


class Gauge:
    """A number read when it is shown."""

    def __init__(self, name: str, help_: str, read: Callable[[], float]) -> None:
        self.name = name
        self.help = help_
        self.read = read

    def lines(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        yield f"{self.name} {self.read():.17g}"


def render(metrics: Iterable[Counter | Gauge]) -> str:
    """The Prometheus text format, version 0.0.4."""
    return "".join(line + "\n" for metric in metrics for line in metric.lines())


def metrics_route(
    metrics: Iterable[Counter | Gauge], path: str = "/metrics", refresh: Callable[[], Awaitable[None]] | None = None
) -> Route:
    """GET of the text; for the local listener. `refresh` brings up to date what is not read on the spot."""
    shown = tuple(metrics)

    async def show(_: Call) -> Reply:
        if refresh is not None:
            await refresh()
        return Reply(body=render(shown).encode(), media=TEXT)

    return Route("GET", path, show)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
