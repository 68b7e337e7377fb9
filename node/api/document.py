"""The OpenAPI document of the node's interface, with its examples. Made from the rows; served and committed alike."""

from node.api.endpoints import PREFIX, ROWS
from node.api.examples import ANSWERED, ASKED
from node.api.scopes import SCOPES
from node.api.serving import shapes
from node.runtime.openapi import About, Json, document

VERSION = "1"
TEXT = (
    "Gli stessi casi d'uso del programma, per altri programmi dello stesso ente. Ogni chiamata porta il token di"
    " un'applicazione; ciò che riguarda un invio dice anche per quale operatore. Ciò che cambia qualcosa porta una"
    " chiave: la stessa richiesta con la stessa chiave ha effetto una volta sola. Un'applicazione non dice mai che una"
    " persona ha aperto un invio.\n\n"
    "The same use cases as the program's, for other programs of the same body. Each call carries the token of an"
    " application; what is about a referral also says for which operator. What changes something carries a key: the"
    " same request with the same key has its effect once. An application never says that a person opened a referral."
)


def node_document() -> dict[str, Json]:
    """The same for the same rows."""
    about = About(
        title="Raccordo – ente",
        version=VERSION,
        text=TEXT,
        server=PREFIX,
        scopes=SCOPES,
        asked=ASKED,
        answered=ANSWERED,
    )
    return document(about, ROWS, shapes)
