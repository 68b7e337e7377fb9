"""Examples of the document: what is asked of each row that takes a body, and some answers. Invented people."""

from collections.abc import Mapping
from typing import Final

from node.runtime.openapi import Said

LEG: Final = "0193a3c4-7b1e-7c55-9e21-4f0f2d6a8b10"
ENTRY: Final = "0a6e1f52-7c3b-4d8e-9a1f-2b3c4d5e6f70"
HOOK: Final = "5b1c6f0e-3d2a-4c1b-9e8f-0a1b2c3d4e5f"
AT: Final = 1_795_259_400


def _offer(need: str) -> dict[str, object]:
    return {
        "offer": {
            "referral": "RK-SEGN",
            "urgency": "UR-ORD",
            "subject": "person",
            "case": "",
            "person": {"given_name": "Ada", "family_name": "Prova", "birth_year": 1950},
            "description": need,
            "basis": {
                "law": "GDPR 6(1)(e)",
                "purpose": "servizio sociale",
                "notice_version": "1",
                "notice_date": "2026-01-01",
            },
        },
        "to": "distretto",
    }


def _service(name: str, text: str) -> dict[str, object]:
    organization = {"id": HOOK, "name": "Comune di Prova", "description": "Ente"}
    return {
        "service": {"id": ENTRY, "name": name, "status": "active", "organization": organization, "description": text},
        "view": "public",
    }


ASKED: Final[Mapping[str, Said]] = {
    "post-advice": Said({"need": "NA-CASA", "residence": "Tavullia", "age": "70-80"}),
    "post-cases": Said(_offer("Chiede aiuto in casa"), _offer("Asks for help at home")),
    "post-cases-leg-steps": Said({"ev": "accept"}),
    "post-cases-leg-hand-overs": Said(
        {"desk_to": "Sportello sociale", "text": "Vive da sola"}, {"desk_to": "Social desk", "text": "Lives alone"}
    ),
    "post-cases-leg-redirects": Said({"to": "comune-pesaro"}),
    "post-cases-leg-needed": Said({"yes": True}),
    "post-cases-leg-routings": Said(
        {"node": "distretto", "service": ENTRY, "why": "È il più vicino"},
        {"node": "distretto", "service": ENTRY, "why": "It is the nearest"},
    ),
    "post-cases-leg-forwards": Said(
        {"to": "distretto", "text": "Serve una valutazione"}, {"to": "distretto", "text": "An assessment is needed"}
    ),
    "post-cases-leg-erasure": Said(
        {"reason": "data-subject", "basis": "Richiesta della persona del 3/11"},
        {"reason": "data-subject", "basis": "The person's request of 3 November"},
    ),
    "post-cases-leg-erasure-answers": Said({"accept": True}),
    "post-cases-leg-rectifications": Said(
        {"description": "Vive con la figlia"}, {"description": "Lives with her daughter"}
    ),
    "put-cases-leg-limitation": Said({"reason": "accuracy"}),
    "post-persons-search": Said({"family_name": "Prova", "birth_year": 1950}),
    "put-entries-id": Said(
        _service("Mensa", "Un pasto caldo a pranzo"), _service("Canteen", "A warm meal at lunch time")
    ),
    "post-confirmations": Said({"which": {"all_": True}}),
    "post-notices": Said(
        {"which": {"words": "mensa"}, "text": "Chiusa per lavori", "until": "2026-12-31"},
        {"which": {"words": "mensa"}, "text": "Closed for works", "until": "2026-12-31"},
    ),
    "post-imports-preview": Said({"name": "servizi.csv", "content": "Tm9tZTtDb211bmUKTWVuc2E7UGVzYXJvCg=="}),
    "post-imports": Said({"name": "servizi.csv", "content": "Tm9tZTtDb211bmUKTWVuc2E7UGVzYXJvCg=="}),
    "post-webhooks": Said({"url": "https://gestionale.example/raccordo", "kinds": ["case.new", "case.step"]}),
}
"""By the name of the row."""

ANSWERED: Final[Mapping[str, Said]] = {
    "post-cases": Said({"leg": LEG, "n": 1, "state": "offered", "case_id": LEG}),
    "post-cases-leg-steps": Said({"leg": LEG, "n": 1, "state": "accepted", "case_id": LEG}),
    "post-cases-leg-take-back": Said({"leg": LEG, "unread": True}),
    "get-events": Said({"events": [{"n": 12, "at": AT, "kind": "case.step", "leg": LEG}], "next": 12, "first": 1}),
    "get-application": Said({"id": "gestionale", "scopes": ["cases:read", "events:read"], "expires": AT}),
    "post-webhooks": Said(
        {
            "webhook": {
                "id": HOOK, "url": "https://gestionale.example/raccordo", "kinds": ["case.new", "case.step"],
                "added": AT, "sent": 12, "failing_since": None, "disabled": None, "why": None,
            },
            "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        }
    ),
    "post-webhooks-id-test": Said({"id": HOOK, "delivered": True, "code": None}),
    "put-entries-id": Said({"id": ENTRY, "outcome": "fresh"}),
}  # fmt: skip
"""By the name of the row."""
