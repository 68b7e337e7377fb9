"""What the commands about referrals answer: shapes only, for who makes them and for who shows them. See node.requests.

Imports nothing but msgspec and schemas, so that a command line can read them without loading the program (DESIGN §3.4).
Times are Unix seconds.
"""

from msgspec import Struct

from schemas.bodies import Offer


class Done(Struct, frozen=True):
    """What a command left: the leg, the number of the event written, the state after it."""

    leg: str
    n: int
    state: str
    case_id: str


class CaseLine(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of a list: codes, times, whose turn; no person."""

    leg: str
    case_id: str
    side: str
    peer: str
    peer_name: str
    state: str
    code: str
    words: str
    referral: str
    urgency: str
    created: int
    changed: int
    ack_by: int | None = None
    respond_by: int | None = None
    late: bool
    final: bool
    linked_from: str | None = None
    parent: str | None = None
    desk_to: str | None = None
    erased: int | None = None
    limited: bool = False


class Step(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One event of the line of time: who wrote it, what, when it was first durable here, how far it got."""

    writer: str
    n: int
    ev: str
    at: int
    seen: int
    by: str | None = None
    delivery: str | None = None
    reason: str | None = None
    outcome: str | None = None
    text: str | None = None
    ref: str | None = None
    when: int | None = None
    to_node: str | None = None
    status: str | None = None
    overruled: bool = False


class Erasure(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One request to erase: who asked (`own`: we did), when, why, how far it got and what was answered.

    `state`: queued (not arrived yet), arrived (no answer yet), unsupported (the other program cannot), erased, refused.
    """

    leg: str
    peer: str
    peer_name: str
    own: bool
    reason: str
    at: int
    state: str
    upto: int | None = None
    answer_reason: str | None = None
    answered_at: int | None = None
    opened_by: str | None = None
    opened_at: int | None = None


class FileLine(Struct, frozen=True, kw_only=True):
    """One file of a referral. `number` from 1; `done` of `parts` have arrived here, or are confirmed by the reader."""

    number: int
    writer: str
    n: int
    name: str
    type: str
    size: int
    state: str
    words: str
    done: int
    parts: int


class SavedFile(Struct, frozen=True):
    """A whole file and the name it may be saved under."""

    name: str
    type: str
    content: bytes


class CaseView(Struct, frozen=True, kw_only=True):
    """A case whole, for who may read it: the line, the offer as last amended, the history, what may be done now.

    `offer` None: it was erased. `erasures`: what was asked about erasing it, on either side. `custodian`: the member
    that answers for the person now; "" when it is over (protocol.custody).
    """

    line: CaseLine
    offer: Offer | None
    steps: list[Step]
    allowed: list[str]
    pending_amendments: list[int]
    next: str
    frozen: bool
    custodian: str
    erasures: list[Erasure] = []
    files: list[FileLine] = []


class Slip(Struct, frozen=True, kw_only=True):
    """One service as a person takes it along: who gives it, when, where, which papers; "" or [] where not known."""

    id: str
    node: str
    at: int
    name: str
    body: str
    what: str
    how: str
    for_whom: list[str]
    opening: str
    hours: str
    address: str
    phones: list[str]
    email: str
    papers: list[str]
    requirements: str
    cost: str
    waiting: str
    verified: str
    warnings: list[str]


class Late(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One referral that waits: `since` it does, `n` of the event that began it (of its writer's log)."""

    leg: str
    side: str
    peer: str
    peer_name: str
    referral: str
    urgency: str
    why: str
    words: str
    todo: str
    since: int
    command: str = ""
    phone: str | None = None
    n: int = 0


class Times(Struct, frozen=True, kw_only=True):
    """One urgency. Seconds; `answer_*` of working time where the urgency counts so, `start_*` by the clock.

    `within`: answered in time. `waiting`: not answered yet, `oldest` since when: said, not left out.
    """

    urgency: str
    answered: int
    answer_median: float | None
    answer_p90: int | None
    within: int
    started: int
    start_median: float | None
    start_p90: int | None
    waiting: int
    oldest: int | None


class Attempts(Struct, frozen=True, kw_only=True):
    """Accepted referrals of one side, R received, S sent: of `known` of the `cases` the sheet says how many offices

    came before; `mean` of those, `spread` as (offices, referrals).
    """

    side: str
    cases: int
    known: int
    mean: float | None
    spread: list[tuple[int, int]]


class ToRoute(Struct, frozen=True, kw_only=True):
    """One case of the queue; `why`: "new" (accepted, nobody chosen yet) or "again" (the last office gave no outcome).

    `tried`: members it was forwarded to already.
    """

    leg: str
    peer: str
    peer_name: str
    referral: str
    urgency: str
    since: int
    respond_by: int | None
    why: str
    tried: list[str]


class Offered(Struct, frozen=True, omit_defaults=True):
    """What was proposed, as kept: member, service, codes of reasons and warnings."""

    node: str
    service: str
    reasons: list[str] = []
    warnings: list[str] = []


class Choice(Struct, frozen=True, kw_only=True):
    """A choice as it is read back; `rank` counts from 1 among what was proposed."""

    at: int
    by: str
    node: str
    service: str
    rank: int
    child: str | None
    proposed: list[Offered]
    why: str | None


class AccessLine(Struct, frozen=True):
    """One opening of a case."""

    at: int
    operator: str
    action: str
    case_id: str
    leg: str


class AccessLog(Struct, frozen=True):
    """The log, and whether each row follows from the one before."""

    rows: list[AccessLine]
    intact: bool


class Aside(Struct, frozen=True, kw_only=True):
    """One message set aside: nothing of what it says, which is sealed."""

    id: int
    node: str
    at: int
    tries: int
    size: int
    fault: str
    receipt: bool


class Tried(Struct, frozen=True, kw_only=True):
    """How many went through, and what still does not."""

    done: int
    left: list[Aside]
    legs: list[str]
