"""What the commands of the interface itself ask: shapes only, light enough for a command line. See node.requests.

`app` is the application that calls, filled in by the interface and never by the caller.
"""

from typing import Annotated

from msgspec import Meta, field

from node.requests import Operator, Request, View, Whole
from schemas.records import Service

NAME = r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$"
DAYS_MAX = 730
App = Annotated[str, Meta(pattern=NAME)]
Uuid = Annotated[str, Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Url = Annotated[str, Meta(min_length=1, max_length=500)]


class AppAdd(Request, frozen=True):
    """A new application: what it may do, and for how many days."""

    id: App
    scopes: list[str]
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = 365
    as_: Operator | None = None


class AppRevoke(Request, frozen=True):
    """From now on it is refused."""

    id: App
    as_: Operator | None = None


class Events(Request, frozen=True):
    """News after a number; absent: only where the numbers stand. `wait`: seconds to wait for some."""

    after: Whole | None = None
    wait: Annotated[int, Meta(ge=0, le=30)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Entry(Request, frozen=True):
    """One own entry as it was imported."""

    id: Uuid


class EntryPut(Request, frozen=True):
    """One own entry whole: new, or in the place of the one held. `view`: who may see it."""

    id: Uuid
    service: Service
    view: View = "public"
    as_: Operator | None = None


class EntryRemove(Request, frozen=True):
    """Takes one entry back: absent from the next publication."""

    id: Uuid
    as_: Operator | None = None


class Who(Request, frozen=True):
    """Who the token says that calls."""

    app: App


class WebhookAdd(Request, frozen=True):
    """Where to be told, and of which kinds (none named: all)."""

    app: App
    url: Url
    kinds: list[str] = field(default_factory=list)


class Webhook(Request, frozen=True):
    """One of the caller's own."""

    app: App
    id: Uuid
