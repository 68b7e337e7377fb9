"""The commands about the rights of the person, as rows: what is asked, what runs, whether it writes. No rules."""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from node import requests as ask
from node.answers import Done, Erasure
from node.cases import erasure, person, views
from node.commands import Command
from node.exchange.log import find_leg

if TYPE_CHECKING:
    from node.body import Body


def _erase(tx: sqlite3.Connection, body: "Body", request: ask.Erase) -> erasure.Erased:
    return erasure.erase(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)), body.config.retention)


def _answer(tx: sqlite3.Connection, body: "Body", request: ask.AnswerErase) -> erasure.Answered:
    return erasure.answer(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)), body.config.retention)


def _erasures(db: sqlite3.Connection, body: "Body", request: ask.Nothing) -> list[Erasure]:
    return views.erasures(db, body.ctx)


def _recall(tx: sqlite3.Connection, body: "Body", request: ask.Recall) -> erasure.Recalled:
    return erasure.recall(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _retention(tx: sqlite3.Connection, body: "Body", request: ask.Retention) -> erasure.Kept:
    return erasure.retention(tx, body.ctx, request, body.config.retention)


def _person(tx: sqlite3.Connection, body: "Body", request: ask.FindPerson) -> person.PersonFile:
    found = person.find(tx, body.ctx, request, body.config.retention)
    person.log(tx, body.ctx, request, found)
    return found


def _rectify(tx: sqlite3.Connection, body: "Body", request: ask.Rectify) -> Done:
    return erasure.rectify(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _limit(tx: sqlite3.Connection, body: "Body", request: ask.Limit) -> erasure.Limited:
    return erasure.limit(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


COMMANDS: Final[Mapping[str, Command]] = {
    "erase": Command(ask.Erase, _erase, writes=True, sends=True),
    "answer-erase": Command(ask.AnswerErase, _answer, writes=True, sends=True),
    "erasures": Command(ask.Nothing, _erasures, writes=False),
    "recall": Command(ask.Recall, _recall, writes=True, sends=True),
    "retention": Command(ask.Retention, _retention, writes=True, sends=True),
    "person": Command(ask.FindPerson, _person, writes=True),  # what is shown is in the access log first
    "rectify": Command(ask.Rectify, _rectify, writes=True, sends=True),
    "limit": Command(ask.Limit, _limit, writes=True),
}
