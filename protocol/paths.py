"""Every URL path, in one place: used by servers, clients and tests. Paths only, never a host.

The `*_ROUTE` constants are the patterns a server registers ({name} stands for one segment); the functions fill them.
NodeIds, hashes and command names need no escaping: their alphabets are safe in a URL.
"""

from typing import Final

HEALTH: Final = "/v1/health"
DOCTOR: Final = "/v1/doctor"

INBOX: Final = "/v1/inbox"
MAILBOX_ROUTE: Final = "/v1/mailbox/{node}"
MAILBOX_ACK_ROUTE: Final = MAILBOX_ROUTE + "/ack"
MAILBOX_TAKEBACK_ROUTE: Final = MAILBOX_ROUTE + "/takeback"

MEMBERS: Final = "/v1/members"
ROOTS: Final = "/v1/roots"
JOIN: Final = "/v1/join"
STATEMENT: Final = "/v1/statement"
LEAVE: Final = "/v1/leave"

CATALOGUE: Final = "/v1/catalogue"
LOG: Final = "/v1/log"
CHECKPOINT: Final = "/v1/checkpoint"
OBJECT_ROUTE: Final = "/v1/object/{hash}"

MAP: Final = "/v1/map.ndjson"
MAP_PROOF_ROUTE: Final = "/v1/map/{node}/{id}/proof"
SEARCH: Final = "/v1/search"

LOCAL_COMMAND_ROUTE: Final = "/local/v1/command/{name}"


def mailbox(node: str) -> str:
    """The mailbox of `node`, to post to and to read from."""
    return f"/v1/mailbox/{node}"


def mailbox_ack(node: str) -> str:
    """Where `node` says what it has."""
    return f"/v1/mailbox/{node}/ack"


def mailbox_takeback(node: str) -> str:
    """Where a sender takes back what `node` has not fetched."""
    return f"/v1/mailbox/{node}/takeback"


def object_(digest: str) -> str:
    """A published object by its hash."""
    return f"/v1/object/{digest}"


def map_proof(node: str, record: str) -> str:
    """Everything needed to verify one map entry offline."""
    return f"/v1/map/{node}/{record}/proof"


def local_command(name: str) -> str:
    """A command for a running process, loopback only."""
    return f"/local/v1/command/{name}"
