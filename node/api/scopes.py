"""What a token may be for: one closed table. Light: a command line reads it."""

from collections.abc import Mapping
from typing import Final

SCOPES: Final[Mapping[str, tuple[str, str]]] = {
    "map:read": ("cercare nella mappa dei servizi", "search the service map"),
    "network:read": ("vedere rete, enti, allarmi e operatori", "see network, members, alarms and operators"),
    "cases:read": ("leggere gli invii, per conto di un operatore", "read referrals, for an operator"),
    "cases:write": ("mandare invii e scriverne i passaggi", "send referrals and write their steps"),
    "rights:write": ("cancellare, rettificare, limitare, cercare una persona", "erase, rectify, limit, find a person"),
    "catalogue:read": ("leggere le proprie voci", "read our own entries"),
    "catalogue:write": (
        "scrivere, importare e pubblicare le proprie voci",
        "write, import and publish our own entries",
    ),
    "audit:read": ("leggere il registro degli accessi", "read the access log"),
    "events:read": ("ricevere le novità, anche con avvisi", "be told the news, by webhooks too"),
}
"""Scope → what it is for, in Italian and English."""
