"""What people and other systems read of a leg: display codes, Italian screen words, FHIR Task. Not rules.

`domain/vocab/referral_states.csv` holds display and statistics codes; these tables project state × delivery onto
them and add the four it lacks (PROTOCOL §6). Words follow DESIGN §9: *invio*, never nodo, leg, outbox.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from protocol.referral import Kind, Leg, State, Writer

Delivery: TypeAlias = Literal["queued", "stored", "processed", "rejected"]
DELIVERIES: Final[tuple[Delivery, ...]] = ("queued", "stored", "processed", "rejected")


class Screen(NamedTuple):
    """The words for one situation: what it is, and what each side can do about it."""

    code: str
    title: str
    sender: str
    receiver: str


# The codes referral_states.csv lacks: (Italian, English).
ADDED_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "RS-RITIRO": ("ritiro chiesto, in attesa", "cancel requested"),
    "RS-RILASC": ("rilasciata dall'ufficio che l'aveva accolta", "released by the receiver"),
    "RS-DECADUTA": ("decaduta: ufficio fuori dalla rete o senza risposta", "lapsed"),
}

_PHONE: Final = "Telefonare all'ufficio."
_NOTHING: Final = "Non serve fare nulla."

# Where delivery changes what is shown: only an offer nobody has opened yet.
OFFERED: Final[Mapping[Delivery, Screen]] = {
    "queued": Screen(
        "RS-INVIATA",
        "Inviata, non ancora arrivata all'ufficio",
        "Si continua a spedire da soli. Se è urgente, telefonare all'ufficio.",
        _NOTHING,
    ),
    "stored": Screen(
        "RS-CONSEGNATA",
        "Arrivata all'ufficio, non ancora aperta",
        "Attendere che l'ufficio la apra. Se è urgente, telefonare.",
        "Aprire l'invio e rispondere entro il termine.",
    ),
    "processed": Screen(
        "RS-CONSEGNATA",
        "Arrivata all'ufficio, non ancora aperta",
        "Attendere che l'ufficio la apra. Se è urgente, telefonare.",
        "Aprire l'invio e rispondere entro il termine.",
    ),
    "rejected": Screen(
        "RS-NONCONS",
        "Non consegnata",
        "L'ufficio non l'ha potuta ricevere. Telefonare e scegliere un'altra strada.",
        _NOTHING,
    ),
}

SCREENS: Final[Mapping[State, Screen]] = {
    "none": Screen("RS-BOZZA", "Bozza, non ancora inviata", "Completare e inviare.", _NOTHING),
    "offered": OFFERED["stored"],
    "opened": Screen(
        "RS-LETTA",
        "Aperta da un operatore, in attesa di risposta",
        "Attendere la risposta. Si può integrare o ritirare.",
        "Rispondere: accogliere, chiedere altro, non accogliere, indicare un altro ufficio.",
    ),
    "asked": Screen(
        "RS-INTEGR",
        "Chieste altre informazioni",
        "Rispondere alla richiesta dell'ufficio.",
        "Attendere le informazioni chieste. Si può rispondere anche senza.",
    ),
    "accepted": Screen(
        "RS-ACCETTATA",
        "Accolta – non è ancora presa in carico",
        "L'ufficio se ne occupa. Arriverà un esito.",
        "Mettere in lista, prendere in carico o concludere con un esito.",
    ),
    "waiting": Screen(
        "RS-LISTA",
        "In lista d'attesa",
        "La persona è in lista. Dire all'ufficio se non ne ha più bisogno.",
        "Chiedere ogni tanto se ne ha ancora bisogno. Avviare o concludere.",
    ),
    "in-charge": Screen(
        "RS-INCARICO",
        "Presa in carico",
        "Tornerà soltanto l'esito, mai il contenuto del piano.",
        "Concludere con un esito.",
    ),
    "cancel-requested": Screen(
        "RS-RITIRO",
        "Ritiro inviato, in attesa",
        "L'ufficio l'aveva già accolta: decide se fermarsi. Si può telefonare.",
        "Chi ha inviato chiede di fermarsi: fermarsi, proseguire o concludere.",
    ),
    "cancelled": Screen("RS-ANNULLATA", "Ritirata", _NOTHING, _NOTHING),
    "expired": Screen(
        "RS-SCADUTA", "Scaduta senza risposta", "Telefonare, oppure scegliere un altro ufficio.", _NOTHING
    ),
    "declined": Screen(
        "RS-RESPINTA", "Non accolta", "Leggere il motivo e cercare un'altra strada con la persona.", _NOTHING
    ),
    "redirected": Screen(
        "RS-REINDIR",
        "Indicato un altro ufficio",
        "Confermare con la persona, poi inviare all'ufficio indicato.",
        "Conferma chi ha inviato.",
    ),
    "closed": Screen("RS-CONCLUSA", "Conclusa, con esito", "Leggere l'esito.", _NOTHING),
    "withdrawn": Screen(
        "RS-RINUNCIA", "Rinuncia, o persona non più reperibile", "Se possibile, risentire la persona.", _NOTHING
    ),
    "released": Screen(
        "RS-RILASC",
        "Lasciata dall'ufficio che l'aveva accolta",
        "La persona è di nuovo seguita da chi ha inviato: cercare un'altra strada.",
        _NOTHING,
    ),
    "lapsed": Screen(
        "RS-DECADUTA",
        "Decaduta: l'ufficio ha lasciato la rete o non risponde più",
        "La persona è di nuovo seguita da chi ha inviato: cercare un'altra strada.",
        "Chi ha inviato non attende più risposta. " + _PHONE,
    ),
    "undeliverable": OFFERED["rejected"],
}

# S's own cancel or lapse before R's acknowledgement settles it (protocol.finality).
_CANCEL_SENT: Final = Screen(
    "RS-RITIRO",
    "Ritiro inviato, in attesa",
    "L'ufficio non ha ancora confermato: potrebbe averla già accolta. " + _PHONE,
    _NOTHING,
)
PROVISIONAL: Final[Mapping[State, Screen]] = {
    "cancelled": _CANCEL_SENT,
    "expired": _CANCEL_SENT,
    "lapsed": Screen(
        "RS-RITIRO",
        "Decadenza inviata, in attesa",
        "L'ufficio non ha ancora confermato: potrebbe aver già concluso. " + _PHONE,
        _NOTHING,
    ),
}

FROZEN: Final = "Le due copie di questo invio non coincidono. Si può soltanto telefonare, ritirare o concludere."

# What the buttons say. `void` and `frozen` are written by the program and have none.
ACTIONS: Final[Mapping[Kind, str]] = {
    "offer": "Invia",
    "amend": "Integra o correggi",
    "cancel": "Ritira l'invio",
    "answer": "Rispondi all'ufficio",
    "lapse": "Dichiara decaduto l'invio",
    "open": "Apri",
    "ask": "Chiedi altre informazioni",
    "accept": "Accogli",
    "decline": "Non accogliere",
    "redirect": "Indica un altro ufficio",
    "waitlist": "Metti in lista d'attesa",
    "start": "Prendi in carico",
    "close": "Concludi con un esito",
    "withdraw": "Segna la rinuncia della persona",
    "release": "Lascia l'invio",
    "keep": "Prosegui nonostante il ritiro",
    "noted": "Prendi nota",
    "appointment": "Fissa un appuntamento",
    "rescheduled": "Sposta l'appuntamento",
    "missed": "Segna che non si è presentata",
    "arrived": "Segna che è arrivata",
    "forwarded": "Inoltra all'ufficio competente",
}


class FhirTask(NamedTuple):
    """A FHIR R4 Task as it would be shown: `business` when the status alone says too little."""

    status: str
    business: str = ""
    output_required: bool = False


# Cancel requested has no row: it shows the status before (fhir_task).
FHIR_TASK: Final[Mapping[State, FhirTask]] = {
    "none": FhirTask("draft"),
    "offered": FhirTask("requested", "offered"),
    "opened": FhirTask("requested", "opened"),
    "asked": FhirTask("requested", "asked"),
    "accepted": FhirTask("accepted"),
    "waiting": FhirTask("on-hold"),
    "in-charge": FhirTask("in-progress"),
    "closed": FhirTask("completed", output_required=True),
    "declined": FhirTask("rejected"),
    "redirected": FhirTask("rejected"),
    "released": FhirTask("failed"),
    "cancelled": FhirTask("cancelled"),
    "withdrawn": FhirTask("cancelled"),
    "expired": FhirTask("cancelled"),
    "lapsed": FhirTask("cancelled"),
    "undeliverable": FhirTask("cancelled"),
}


def display(state: State, delivery: Delivery = "processed", *, final: bool = True) -> Screen:
    """The screen of a state. `delivery`: how far the offer got; `final`: what `is_final` says of a terminal state."""
    if state == "offered":
        return OFFERED[delivery]
    if not final:
        return PROVISIONAL.get(state, SCREENS[state])
    return SCREENS[state]


def fhir_task(leg: Leg) -> FhirTask:
    """The FHIR projection; while a cancel is requested, that of the state before it."""
    return FHIR_TASK[leg.before_cancel or leg.state]


def next_step(screen: Screen, side: Writer) -> str:
    """What this side can do about it."""
    return screen.sender if side == "S" else screen.receiver
