"""The contents page of the node's interface: one row an address, over the table of commands. Light: no shape is loaded.

To add one: a row here, an example in node.api.examples, a line of the authorisation matrix in tests/api.
"""

from typing import Final

from node.runtime.api import Endpoint
from node.runtime.routes import KIB

PREFIX: Final = "/local/v1"
MIB: Final = 1024 * KIB
SHEET_MAX: Final = 32 * MIB  # a spreadsheet, or a few files of 5 MiB as base64


def _row(method: str, path: str, command: str, scope: str | None, it: str, en: str, **more: object) -> Endpoint:
    return Endpoint(method, PREFIX + path, command, scope, it, en, **more)  # type: ignore[arg-type]  # fields of the row


ROWS: Final[tuple[Endpoint, ...]] = (
    # -- the map
    _row("GET", "/services", "search", "map:read", "I servizi che rispondono, con il perché", "The services that answer, each with why"),
    _row("GET", "/services/{id}", "service", "map:read", "Una scheda della mappa", "One entry of the map"),
    _row("GET", "/services/{id}/slip", "slip", "map:read", "Il foglio di orientamento per la persona, senza nomi", "The orientation slip for the person, without names"),
    _row("GET", "/services/{id}/proof", "proof", "map:read", "La prova di una scheda", "The proof of one entry"),
    _row("GET", "/map", "map", "map:read", "La mappa intera, a pagine", "The whole map, in pages"),
    _row("GET", "/guide", "guide", "map:read", "La guida: per ente, servizio, luogo, persone", "The guide: by body, service, place, people"),
    _row("POST", "/advice", "route", "map:read", "A chi rivolgersi per un bisogno", "Whom to turn to for a need"),
    # -- the network
    _row("GET", "/status", "status", "network:read", "Come va: rete, invii aperti, coda, allarmi", "One screen: network, open referrals, queue, alarms"),
    _row("GET", "/members", "members", "network:read", "Gli enti della rete, come verificati", "The members of the network, as verified"),
    _row("GET", "/alarms", "alarms", "network:read", "Gli allarmi aperti", "The open alarms"),
    _row("GET", "/operators", "operators", "network:read", "Gli operatori e i loro ruoli", "The operators and their roles"),
    _row("GET", "/keys", "keys", "network:read", "Le chiavi dell'ente, senza i segreti", "Our keys, without the secrets"),
    # -- referrals
    _row("GET", "/cases", "cases", "cases:read", "L'elenco degli invii, senza persone", "The list of referrals, without persons"),
    _row("GET", "/cases/{leg}", "case", "cases:read", "Un invio intero; la lettura è annotata come dell'applicazione", "One referral whole; logged as read by the application"),
    _row("GET", "/cases/{leg}/attachments", "attachments", "cases:read", "Gli allegati di un invio, e quanto ne è arrivato", "The files of a referral, and how much of them arrived"),
    _row("GET", "/cases/{leg}/attachments/{number}", "attachment-save", "cases:read", "Un allegato intero (annotato)", "One file whole (logged)"),
    _row("POST", "/cases", "refer", "cases:write", "Manda un invio a un altro ente", "Sends a referral to another member", effect=True, max_body=SHEET_MAX),
    _row("POST", "/cases/{leg}/steps", "act", "cases:write", "Scrive un passaggio di un invio", "Writes one step of a referral", effect=True, max_body=SHEET_MAX),
    _row("POST", "/cases/{leg}/hand-overs", "hand-over", "cases:write", "Passa un invio a un altro sportello dello stesso ente", "Hands a case to another desk of the same body", effect=True),
    _row("POST", "/cases/{leg}/redirects", "follow-redirect", "cases:write", "Segue l'indicazione di un altro ufficio", "Follows a redirection", effect=True),
    _row("POST", "/cases/{leg}/take-back", "take-back", "cases:write", "Ritira l'ultimo passaggio, prima che arrivi", "Takes our newest step back, before it arrives", effect=True, outside=True),
    _row("PUT", "/cases/{leg}/assignments/{code}", "assign", "cases:write", "Assegna un invio a un operatore", "Gives a case to an operator", effect=True),
    _row("POST", "/cases/{leg}/still-needed", "still-needed", "cases:write", "Chiede se ce n'è ancora bisogno", "Asks whether it is still needed", effect=True),
    _row("POST", "/cases/{leg}/needed", "needed", "cases:write", "Risponde se ce n'è ancora bisogno", "Says whether it is still needed", effect=True),
    _row("GET", "/late", "late", "cases:read", "Che cosa è in ritardo, da noi e dagli altri", "What is late, here and elsewhere"),
    _row("GET", "/times", "times", "cases:read", "I tempi di risposta, per ente", "The times of answers, by member"),
    _row("GET", "/attempts", "attempts", "cases:read", "Quanti uffici prima di quello giusto", "How many offices came before the right one"),
    # -- routing
    _row("GET", "/to-route", "to-route", "cases:read", "Gli invii da smistare", "The cases to route"),
    _row("GET", "/cases/{leg}/candidates", "route-case", "cases:read", "A chi si può passare un invio, con motivi e avvertenze", "Where a case may go, with reasons and warnings"),
    _row("GET", "/cases/{leg}/routings", "chosen", "cases:read", "Che cosa si è scelto per un invio, e perché", "What was chosen for a case, and why"),
    _row("POST", "/cases/{leg}/routings", "choose-route", "cases:write", "Sceglie uno dei candidati e gli passa l'invio", "Chooses a candidate and forwards the case", effect=True),
    _row("POST", "/cases/{leg}/forwards", "forward", "cases:write", "Passa un invio accolto all'ufficio competente", "Forwards an accepted case to the competent office", effect=True),
    # -- the rights of the person
    _row("POST", "/cases/{leg}/erasure", "erase", "rights:write", "Cancella un invio e lo chiede all'altro ufficio", "Erases a case and asks the other office", effect=True, outside=True),
    _row("POST", "/cases/{leg}/erasure-answers", "answer-erase", "rights:write", "Risponde a una richiesta di cancellazione", "Answers a request to erase", effect=True),
    _row("POST", "/cases/{leg}/recall", "recall", "rights:write", "Richiama un invio mandato per errore", "Recalls a referral sent to the wrong office", effect=True, outside=True),
    _row("POST", "/cases/{leg}/rectifications", "rectify", "rights:write", "Rettifica i dati di un invio", "Puts data of a case right", effect=True),
    _row("PUT", "/cases/{leg}/limitation", "limit", "rights:write", "Limita il trattamento, o toglie il limite", "Limits processing, or lifts the limit", effect=True),
    _row("GET", "/erasures", "erasures", "cases:read", "Le richieste di cancellazione", "The requests to erase"),
    _row("POST", "/persons/search", "person", "rights:write", "Tutto ciò che si ha di una persona (annotato)", "Everything held about one person (logged)", outside=True),
    _row("GET", "/access-log", "access-log", "audit:read", "Chi ha aperto quale invio, e quando", "Who opened which case, and when"),
    # -- our own catalogue
    _row("GET", "/entries", "entries", "catalogue:read", "Le proprie voci", "Our own entries"),
    _row("GET", "/entries/{id}", "entry", "catalogue:read", "Una propria voce intera", "One of our entries whole"),
    _row("PUT", "/entries/{id}", "entry-put", "catalogue:write", "Scrive una voce, nuova o al posto di quella che c'è", "Writes one entry, new or in the place of the one held", effect=True, max_body=128 * KIB),
    _row("DELETE", "/entries/{id}", "entry-remove", "catalogue:write", "Ritira una voce", "Takes one entry back", effect=True),
    _row("POST", "/confirmations", "confirm", "catalogue:write", "Conferma che le voci sono ancora giuste", "Confirms that entries are still right", effect=True),
    _row("POST", "/notices", "notice", "catalogue:write", "Mette o toglie un avviso con data", "Sets a dated notice, or takes it off", effect=True),
    _row("POST", "/imports/preview", "import", "catalogue:write", "Anteprima di un foglio: nulla cambia", "Preview of a sheet: nothing changes", fixed=(("preview", True),), max_body=SHEET_MAX),
    _row("POST", "/imports", "import", "catalogue:write", "Importa un foglio", "Imports a sheet", effect=True, fixed=(("preview", False),), max_body=SHEET_MAX),
    _row("GET", "/publications", "chains", "catalogue:read", "Come stanno le pubblicazioni", "How publications stand"),
    _row("POST", "/publications", "publish", "catalogue:write", "Firma e manda ciò che è cambiato", "Signs and sends what changed", effect=True),
    # -- news
    _row("GET", "/events", "events", "events:read", "Le novità per numero, aspettandole se non ce ne sono", "The news by number, waiting for some", waits=True),
    _row("GET", "/webhooks", "webhooks", "events:read", "I propri indirizzi da avvisare", "Our own webhooks"),
    _row("POST", "/webhooks", "webhook-add", "events:read", "Aggiunge un indirizzo; il segreto si vede solo ora", "Adds a webhook; its secret is shown only now", effect=True, outside=True),
    _row("DELETE", "/webhooks/{id}", "webhook-remove", "events:read", "Toglie un indirizzo", "Removes a webhook", effect=True),
    _row("POST", "/webhooks/{id}/test", "webhook-test", "events:read", "Manda un avviso di prova", "Sends a test", outside=True),
    # -- the caller
    _row("GET", "/application", "application", None, "Che cosa può fare questo token", "What this token may do"),
)  # fmt: skip
