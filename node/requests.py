"""What the commands of a node ask for: shapes only. Imports nothing but msgspec and schemas, so that a command line

can make them without loading the program (DESIGN §3.4). Names of comuni may be names or ISTAT codes; `leg` may be
either end of an identifier when only one referral has it; times are Unix seconds, `day` texts are ISO dates.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.bodies import Basis, Code, Offer, Person, Text600, Uuid
from schemas.membership import Invitation, Wanted

Operator = Annotated[str, Meta(min_length=1, max_length=57)]  # a code, or "app/code" (node.cases.operators)
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Whole = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Instant = Annotated[int, Meta(ge=0, le=32_503_680_000)]  # until the year 3000: calendars end in 9999
View = Literal["public", "members"]
Side = Literal["received", "sent", "internal"]


class Request(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What all requests are: closed."""


class Nothing(Request, frozen=True):
    """A question without parameters."""


# -- referrals


class NewFile(Request, frozen=True):
    """A file to attach: its name without a path, its bytes (at most 5 MiB)."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]
    content: bytes


class Refer(Request, frozen=True):
    """A new referral: `to` a member, `offer` complete but for `case`; `as_` is the operator's code."""

    to: str
    offer: Offer
    as_: Operator
    linked_from: str | None = None
    files: list[NewFile] = []


class Act(Request, frozen=True):
    """One step on a referral; `ev` is a kind of the table. At a hand-over `side` says which of the two desks acts."""

    leg: str
    ev: str
    as_: Operator
    reason: str | None = None
    outcome: str | None = None
    text: str | None = None
    ref: str | None = None
    to_node: str | None = None
    of: str | None = None
    when: Instant | None = None
    offer: Offer | None = None
    side: Literal["S", "R"] | None = None
    files: list[NewFile] = []


class Attachments(Request, frozen=True):
    """The files of one referral; looking at the list is logged."""

    leg: str
    as_: Operator


class SaveAttachment(Request, frozen=True):
    """The bytes of file `number` (from 1, as listed); logged."""

    leg: str
    number: Whole
    as_: Operator


class HandOver(Request, frozen=True):
    """A received case to another desk of the same body."""

    leg: str
    desk_to: Annotated[str, Meta(min_length=1, max_length=200)]
    as_: Operator
    text: Text600 | None = None


class Forward(Request, frozen=True):
    """A referral accepted here, to the office that is competent. `basis`: when the one given does not cover it.

    `attachments`: which of its files go along, by their numbers (from 1, as listed); none by itself.
    """

    leg: str
    to: str
    as_: Operator
    referral: Code | None = None
    service: Uuid | None = None
    text: Text600 | None = None
    basis: Basis | None = None
    attachments: list[Whole] = []


class FollowRedirect(Request, frozen=True):
    """The sender confirms the recipient a receiver suggested (or names another)."""

    leg: str
    as_: Operator
    to: str | None = None
    basis: Basis | None = None


class TakeBack(Request, frozen=True):
    """Our newest step of a referral, before the other office had it."""

    leg: str
    as_: Operator


class TakenBack(Struct, frozen=True):
    """`unread`: certain that nobody received it; else the other office is told that it does not count."""

    leg: str
    unread: bool


class Assign(Request, frozen=True):
    """Gives a case to an operator who sees only what is assigned."""

    leg: str
    code: Operator
    as_: Operator


class Cases(Request, frozen=True):
    """A list: `side` None for all, `late` only what waits too long, `all_` also what is over."""

    side: Side | None = None
    late: bool = False
    all_: bool = False


class Case(Request, frozen=True):
    """One case whole; its opening is logged."""

    leg: str
    as_: Operator


class AccessLog(Request, frozen=True):
    """Who opened which case; `case` limits it to one."""

    as_: Operator
    case: str | None = None


class Route(Request, frozen=True):
    """A need to be routed: codes of the vocabularies; `residence` a comune; `age` a year or a band "65-80"."""

    need: str
    targets: list[str] = []
    age: Annotated[str, Meta(pattern=r"^\d{1,3}(-\d{1,3})?$")] | None = None
    residence: str | None = None
    urgency: str = "UR-ORD"
    kind: str | None = None
    health: bool = False
    at: Instant | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 10


class StillNeeded(Request, frozen=True):
    """Asked of who sent a referral that waits: does the person still need it?"""

    leg: str
    as_: Operator


class Needed(Request, frozen=True):
    """The sender's word on it: yes is an answer, no withdraws the referral."""

    leg: str
    as_: Operator
    yes: bool


class RouteCase(Request, frozen=True):
    """Candidates for a case accepted here; `need` when its sheet names none."""

    leg: str
    as_: Operator
    need: str | None = None


class ChooseRoute(Request, frozen=True):
    """One of the candidates, by member and service; `why` when it is not the first. The rest as in Forward."""

    leg: str
    node: str
    service: Uuid
    as_: Operator
    need: str | None = None
    why: Annotated[str, Meta(max_length=600)] | None = None
    referral: Code | None = None
    text: Text600 | None = None
    basis: Basis | None = None
    attachments: list[Whole] = []


# -- operators


class OperatorAdd(Request, frozen=True):
    """Adds or changes a code. `as_` None: whoever holds the local token (the first operator has to come from there)."""

    code: Operator
    role: str
    desk: str | None = None
    as_: Operator | None = None


class OperatorDisable(Request, frozen=True):
    """The code can no longer act."""

    code: Operator
    as_: Operator | None = None


# -- catalogue


class Import(Request, frozen=True):
    """A sheet's bytes; `preview` changes nothing; `withdraw_missing` takes back entries the new sheet no longer has.

    `accept`: lines whose proposal "the entry already imported" a person confirmed.
    """

    name: str
    content: bytes
    preview: bool = False
    withdraw_missing: bool = False
    accept: list[int] = []
    as_: Operator | None = None


class Entries(Request, frozen=True):
    """Our own entries; `stale`: only those not verified for 180 days; `words`: name contains."""

    stale: bool = False
    words: str = ""


class Selection(Request, frozen=True):
    """Which entries: all, some ids (or beginnings of them), or those whose name contains `words`. Exactly one."""

    all_: bool = False
    ids: list[str] = []
    words: str = ""


class Confirm(Request, frozen=True):
    """Still right on `day` (today when absent), for many entries at once."""

    which: Selection
    day: Day | None = None
    as_: Operator | None = None


class SetNotice(Request, frozen=True):
    """A dated temporary notice on entries; an empty `text` takes it off."""

    which: Selection
    text: Annotated[str, Meta(max_length=300)]
    until: Day | None = None
    as_: Operator | None = None


class Withdraw(Request, frozen=True):
    """Takes entries back: absent from the next publication."""

    which: Selection
    as_: Operator | None = None


class Publish(Request, frozen=True):
    """Signs what changed. The courier posts it."""

    as_: Operator | None = None


# -- map and network


class Search(Request, frozen=True):
    """A desk's question. `text` as a person types it; the other fields narrow it (see node.map.query.Query).

    Codes may be in small letters; `comune`, `near`, `residence` are names or codes; `at` is local wall time
    "2026-11-20 11:40", and with it `open` means open then.
    """

    text: Annotated[str, Meta(max_length=300)] = ""
    view: View = "members"
    needs: list[str] = []
    targets: list[str] = []
    for_everybody: bool = False
    categories: list[str] = []
    kinds: list[str] = []
    comune: str | None = None
    residence: str | None = None
    near: str | None = None
    zone: str | None = None
    member: list[str] = []
    owner: list[str] = []
    provider: list[str] = []
    sector: list[str] = []
    management: list[str] = []
    system: list[str] = []
    access: list[str] = []
    anonymous: bool = False
    languages: list[str] = []
    step_free: bool = False
    accessibility: list[str] = []
    costs: list[str] = []
    age: Annotated[int, Meta(ge=0, le=130)] | None = None
    at: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}$")] | None = None
    open: bool = False
    fresh: bool = False
    within_km: float | None = None
    order: Literal["useful", "near"] = "useful"
    limit: Annotated[int, Meta(ge=1, le=200)] = 20
    offset: Annotated[int, Meta(ge=0)] = 0


class ShowService(Request, frozen=True):
    """One entry of the map by its id, or the beginning of it."""

    id: Annotated[str, Meta(min_length=4, max_length=36)]
    node: str | None = None
    view: View = "members"


class Slip(Request, frozen=True):
    """The orientation slip of one entry of the public map, by its id or the beginning of it."""

    id: Annotated[str, Meta(min_length=4, max_length=36)]
    node: str | None = None


class Prove(Request, frozen=True):
    """The proof of one entry of the map, by its id or the beginning of it: MapProof as it travels."""

    id: Annotated[str, Meta(min_length=4, max_length=36)]
    node: str | None = None
    vis: Literal["public", "network"] | None = None


class MapPage(Request, frozen=True):
    """Entries `after` … of map.ndjson; `version` of the pages before, so that two versions are never mixed."""

    view: View = "members"
    after: Whole = 0
    version: int | None = None


class MapViews(Request, frozen=True):
    """One part of the guide: bodies, services → desks, places, or groups of people."""

    view: View = "members"
    by: Literal["bodies", "services", "places", "targets"] = "bodies"


# -- ourselves


class Join(Request, frozen=True):
    """The invitation, and what the body wants written in its admission. Same shape as node.enrolment.JoinWish."""

    invitation: Invitation
    wanted: Wanted
    urls: list[str] = []
    relays: list[str] = []
    notify: str | None = None


class ConfirmPeer(Request, frozen=True):
    """After a restore: a person telephoned that member and settled what was forgotten here."""

    node: str
    as_: Operator


class ClearAlarm(Request, frozen=True):
    """Somebody took note of an alarm."""

    id: Whole


# -- the rights of the person


class Erase(Request, frozen=True):
    """Erases a case here, on every leg of it, and asks the other office; `basis`: which act decided it."""

    leg: str
    as_: Operator
    reason: str
    basis: Annotated[str, Meta(min_length=1, max_length=200)]
    here_only: bool = False


class AnswerErase(Request, frozen=True):
    """The answer to a peer's request: done (`accept`), or refused with a reason."""

    leg: str
    as_: Operator
    accept: bool
    reason: str | None = None
    basis: Annotated[str, Meta(max_length=200)] | None = None


class Recall(Request, frozen=True):
    """The wrong recipient."""

    leg: str
    as_: Operator


class Retention(Request, frozen=True):
    """Cases ended longer ago than `months` (absent: as configured); without `apply` nothing changes."""

    as_: Operator
    months: Annotated[int, Meta(ge=1, le=1200)] | None = None
    apply: bool = False


class FindPerson(Request, frozen=True):
    """Everything held about one person: by codice fiscale, or by family name and year of birth (given name narrows)."""

    as_: Operator
    tax_code: Annotated[str, Meta(max_length=16)] | None = None
    family_name: Annotated[str, Meta(max_length=200)] | None = None
    given_name: Annotated[str, Meta(max_length=200)] | None = None
    birth_year: Annotated[int, Meta(ge=1890, le=2100)] | None = None


class Rectify(Request, frozen=True):
    """Puts data right: `person` and `description` replace what they name; a receiver writes `text`.

    `erase_old`: the versions before go, here, and the other office is asked the same.
    """

    leg: str
    as_: Operator
    person: Person | None = None
    description: Annotated[str, Meta(max_length=600)] | None = None
    text: Annotated[str, Meta(max_length=600)] | None = None
    erase_old: bool = False


class Limit(Request, frozen=True):
    """Marks a case as kept and not used, or lifts the mark (`reason` None)."""

    leg: str
    as_: Operator
    reason: str | None = None


# -- keys


class ConfirmKey(Request, frozen=True):
    """Somebody telephoned the office `node` and compared the eight `words` of its new key."""

    node: str
    words: Annotated[str, Meta(min_length=8, max_length=400)]
    as_: Operator


class RotateKeys(Request, frozen=True):
    """New keys before their time; `compromised`: another may hold the present ones, which count no more."""

    as_: Operator
    signing: bool = True
    sealing: bool = True
    compromised: bool = False


class Recover(Request, frozen=True):
    """A new key in the place of a lost one: by the `seed` of the emergency key, or as guarantors `signed` it.

    Neither: only the network is contacted. `invitation`, whose code is not used: where this machine is new to it.
    """

    invitation: Invitation | None = None
    seed: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None
    signed: Annotated[list[str], Meta(max_length=32)] = []


# -- leaving


class Export(Request, frozen=True):
    """Everything this body holds into the new file `path`; `sealed` under a passphrase or a key."""

    path: Annotated[str, Meta(min_length=1, max_length=4000)]
    as_: Operator
    sealed: bool = False
    passphrase: Annotated[str, Meta(max_length=1000)] | None = None
    key: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None


class Leave(Request, frozen=True):
    """The body leaves the network; `confirm` repeats its id, `anyway`: with referrals still open."""

    as_: Operator
    confirm: str
    anyway: bool = False
