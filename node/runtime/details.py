"""The details of a refusal (where, expected, found) in the words of people who read Italian. Loaded only on a refusal.

ProtocolError carries short English phrases for programs and logs. Here each one a person can meet has its Italian; a
test holds the table against the phrases in the code. Data (names, dates, numbers) stays as it is.
"""

import re
from difflib import get_close_matches
from typing import Final

from protocol.errors import ProtocolError

FIELDS: Final = {
    "at": "data e ora", "basis": "base giuridica", "birth_year": "anno di nascita", "birth_date": "data di nascita",
    "bodies": "ente", "caps": "capacità", "category": "tipo di servizio", "code": "codice",
    "columns": "colonne", "comune": "comune", "comuni": "elenco dei comuni", "consent_to": "consenso per",
    "contact": "contatto", "costs": "costo", "day": "giorno", "delegated_by": "chi ha firmato per conto",
    "description": "descrizione", "desk": "sportello", "desk_to": "sportello", "family_name": "cognome",
    "given_name": "nome", "guarantors": "garanti", "health": "salute", "household_size": "persone in famiglia",
    "identifiers": "identificativi", "ids": "voce", "key": "chiave", "key_dir": "cartella delle chiavi",
    "kind": "tipo", "language": "lingua", "languages": "lingua", "law": "norma", "leg": "invio",
    "linked_from": "invio precedente", "name": "nome", "near": "vicino a", "need": "bisogno", "needs": "bisogno",
    "net": "identificativo della rete", "node": "nome tecnico dell'ente", "notice_date": "data dell'informativa",
    "notice_version": "versione dell'informativa", "object": "voce", "of": "invio di cui è un doppione",
    "offer": "scheda",
    "on": "giorno", "operator": "operatore", "order": "ordine", "outcome": "esito", "person": "persona",
    "phone": "telefono", "phones": "telefono", "protocol": "versione del protocollo d'intesa",
    "protocollo": "file del protocollo d'intesa", "ptype": "tipo di ente", "purpose": "finalità", "reason": "motivo",
    "record": "voce", "records": "voci", "ref": "richiesta", "referral": "tipo di invio", "relays": "caselle",
    "requester": "gruppo o ente che chiede",
    "reporter": "chi segnala", "residence": "residenza", "role": "ruolo", "root": "radice", "service": "servizio",
    "side": "lato", "signatures": "firme", "subject": "di chi si tratta", "target": "destinatari",
    "targets": "destinatari", "territory": "territorio", "text": "testo", "threshold": "firme richieste",
    "to": "ufficio a cui si manda", "to_node": "ufficio indicato", "until": "ultimo giorno", "urgency": "urgenza",
    "url": "indirizzo", "urls": "indirizzo", "version": "versione", "wanted": "richiesta", "when": "data e ora",
    "which": "voci", "notify": "indirizzo per gli avvisi", "choose": "numero della proposta", "why": "perché",
    "access-log": "registro degli accessi",
}  # fmt: skip
"""Names of fields a person fills in. The others stand as they are: a key of the configuration, the name of a file."""

_UNSAID: Final = frozenset({"$", "command", "items", "sealed", "payload", "header"})
"""Fields that tell a person nothing."""

PHRASES: Final[tuple[tuple[str, str], ...]] = (
    # sizes and counts
    (r"≤ (\d+)", r"al massimo \1"),
    (r"at most (\d+) bytes waiting", r"al massimo \1 byte in attesa"),
    (r"at most (\d+) bytes", r"al massimo \1 byte"),
    (r"at most (\d+) characters", r"al massimo \1 caratteri"),
    (r"at most (\d+) a day", r"al massimo \1 al giorno"),
    (r"at most (\d+) signatures", r"al massimo \1 firme"),
    (r"at most (\d+) steps", r"al massimo \1 passi"),
    (r"at most (\d+) s after iat|within (\d+) s after iat", r"entro il tempo ammesso"),
    (r"(\d+) days at most", r"al massimo \1 giorni"),
    (r"at most (\S+)", r"al massimo \1"),
    (r"at least (\d+) characters of its code", r"almeno \1 caratteri del codice"),
    (r"at least (\d+) random bytes", r"almeno \1 byte a caso"),
    (r"at least (\d+) leaves", r"almeno \1 voci del registro"),
    (r"at least 2: no guarantor changes the root alone", "almeno 2: nessun garante cambia la radice da solo"),
    (r"at least (\S+)", r"almeno \1"),
    (r"above (\S+)", r"più di \1"),
    (r"1 to 32 printable characters", "da 1 a 32 caratteri"),
    (r"1…(\d+) ASCII", r"da 1 a \1 caratteri ASCII"),
    (r"https://host/path", "https://nome/percorso"),
    (r"a name that leads somewhere", "un nome che porta a un indirizzo"),
    (r"as in the address", "come nell'indirizzo"),
    (r"1 to (\d+)", r"da 1 a \1"),
    (r"depth at most (\d+)", r"al massimo \1 livelli"),
    (r"(\d+) (?:new |random )?bytes", r"\1 byte"),
    (r"(\d+) characters", r"\1 caratteri"),
    (r"(\d+) lines", r"\1 righe"),
    (r"1 signatures", "una firma"),
    (r"(\d+) signatures", r"\1 firme"),
    (r"(\d+) leaves", r"\1 voci del registro"),
    (r"0 found", "nessuno"),
    # attachments
    (r"none: nothing is sent", "nessuno: non parte nulla"),
    (r"(HEIC|WEBP|TIFF|GIF|BMP|DOC|RTF|PDF)", r"un file \1"),
    (r"ZIP, DOCX", "un file ZIP o DOCX"),
    (r"EXE", "un programma"),
    (r"JPEG, PNG", "una foto JPEG o PNG"),
    (r"(\d+) found", r"\1, più d'uno: scrivere il codice più lungo"),
    # sheets on paper
    (r"group none", "group, oppure none"),
    (r"20 Bianchi \[K7\]", "numero, valore e lettere fra parentesi: 20 Bianchi [K7]"),
    (r"PUA-1-K7QM-3XWD", "un codice come PUA-1-K7QM-3XWD"),
    (r"all lines as printed, with their marks", "tutte le righe come stampate, con le lettere fra parentesi"),
    (r"the line as printed", "la riga com'è stampata"),
    (r"the number of a line", "il numero di una riga del modulo, una volta sola"),
    (r"16 letters and digits", "16 fra lettere e cifre, come sul foglio"),
    # shapes, as msgspec and tomllib put them
    (r"Expected `int` >= (\S+)", r"un numero non minore di \1"),
    (r"Expected `int` <= (\S+)", r"un numero non maggiore di \1"),
    (r"Expected `int`, got `\w+`", "un numero intero"),
    (r"Expected `bool`, got `\w+`", "true oppure false"),
    (r"Expected `array`, got `\w+`", "un elenco"),
    (r"Expected `object`, got `\w+`", "una tabella"),
    (r"Expected `str[^`]*`, got `\w+`", "un testo"),
    (r"Expected `(?:str|array)` of length >= (\d+)", r"non meno di \1"),
    (r"Expected `(?:str|array)` of length <= (\d+)", r"non più di \1"),
    (r"Expected `str` matching regex .*", "un testo scritto in un altro modo"),
    (r"Expected .*", "un valore di un'altra forma"),
    (r"Invalid enum value .*", "uno dei valori ammessi"),
    (r"Object missing required field `(\w+)`", r"manca «\1»"),
    (r"Object contains unknown field `(\w+)`", r"non si conosce «\1»"),
    (r".+ \(at line (\d+), column (\d+)\)", r"riga \1, colonna \2"),
    (r".+ \(at end of document\)", "la fine del file"),
    # copies
    (r"a copy made by this program", "una copia fatta da questo programma"),
    (r"a whole copy of this program", "una copia intera, fatta da questo programma"),
    (r"a copy of the keys", "una copia delle sole chiavi"),
    (r"a recovery key file", "un file di chiave di recupero"),
    (r"(\d+) open, (\d+) queued", r"\1 aperti, \2 in partenza"),
    (r"an export", "un'esportazione"),
    (r"a recovery of that body", "la richiesta di chiave nuova di quell'ente"),
    (r"the request of this body, as it stands now", "la richiesta di questo ente, com'è adesso: farne un'altra"),
    (r"an absolute path", "un percorso intero, dalla radice"),
    (r"at least (\d+) characters", r"almeno \1 caratteri"),
    (r"two different ones", "due frasi diverse"),
    (r"too short", "finisce prima del dovuto"),
    (r"too long", "continua oltre il dovuto"),
    (r"it shrank", "è cambiato mentre lo si copiava"),
    (r"header|part|config|chunk \d+", "una parte alterata"),
    # days and hours
    (r"(\d{4})-(\d\d)-(\d\d)", r"\3/\2/\1"),
    (r"not after (\d{4})-(\d\d)-(\d\d)", r"non dopo il \3/\2/\1"),
    (r"from (\d{4})-(\d\d)-(\d\d)", r"dal \3/\2/\1 in poi"),
    (r"(?:exp )?after \d+", "una data non ancora passata"),
    (r"not after (\S+)", r"non dopo il \1"),
    (r"from (\S+)", r"dal \1 in poi"),
    # referrals
    (r"a code that names one referral", "il codice di un solo invio"),
    (r"a case received or sent", "un invio ricevuto o mandato"),
    (r"a text, because the reason is 'other'", "un testo, perché il motivo è «altro»"),
    (r"assigned", "un invio affidato a questo operatore"),
    (r"one address, and hours after it", "un solo indirizzo e-mail, ed eventualmente le ore dopo uno spazio"),
    (r"one of the proposals", "una delle proposte"),
    (r"the need, with --need", "il bisogno, con --need"),
    (r"why not the first proposal", "perché non la prima proposta (--why)"),
    (r"the sender last", "per ultimo chi manda"),
    (r"sent", "un invio mandato da noi"),
    (r"consent to (\S+)", r"il consenso che nomina \1"),
    (r"redirected", "un invio per cui è stato indicato un altro ufficio"),
    (r"the question", "la domanda dell'ufficio"),
    (r"S or R", "S (chi manda) oppure R (chi riceve)"),
    (r"all, ids or words", "tutte, i codici, oppure parole del nome"),
    (r"nothing written", "nulla di scritto"),
    (r"a case that is over", "un invio concluso: prima «close» o «withdraw»"),
    (r"a referral that was sent", "un invio mandato, non uno ricevuto"),
    (r"tax code, or family name and year of birth", "il codice fiscale, oppure cognome e anno di nascita"),
    (r"the number of an act, no person", "numero e data di un atto, senza nomi né codici di persone"),
    (r"what is right", "i dati giusti"),
    (r"what is right, for whoever sent it", "che cosa è giusto (--text), per l'ufficio che lo ha mandato"),
    (r"acknowledged", "già confermato dall'altro ufficio"),
    # the network and who is in it
    (r"a guarantor of this network", "un garante di questa rete"),
    (r"a suspended or ended member", "un ente sospeso o uscito"),
    (r"an invitation by delegation", "un invito per delega"),
    (r"another key than the first", "una chiave diversa dalla prima"),
    (r"a key (?:not|never) used before", "una chiave mai usata prima"),
    (r"a sound key", "una chiave valida"),
    (r"each (?:node )?once", "ognuno una volta sola"),
    (r"one key for each guarantor", "una chiave per ogni garante"),
    (r"one of the members (\S+)", r"uno fra \1"),
    (r"relays of this network", "le caselle di questa rete"),
    (r"never again a pilot", "non più una rete pilota"),
    (r"none of them for this kind of body", "nessuna, per questo tipo di ente"),
    (r"root-1 signed by the guarantors", "la radice firmata dai garanti: «root sign», poi «root install»"),
    (r"the draft that was exported", "la richiesta come è stata esportata"),
    (r"what the body asked for", "ciò che l'ente ha chiesto"),
    (r"another reading of this line", "la riga riletta dal foglio"),
    (r"the public half of the seed", "la parte pubblica della stessa chiave"),
    (r"an object that was not withdrawn", "una voce non ritirata"),
    (r"a record or a snapshot of a catalogue", "una voce, o un catalogo"),
    (r"ended", "uscito"),
    (r"no root", "nessuna radice"),
    (r"registry and relays", "la bacheca e le caselle"),
    (r"registry", "la bacheca d'Ambito"),
    (r"certificate", "un certificato non riconosciuto"),
    (r"wrong-network", "un'altra rete"),
    # this machine
    (r"run: (.+)", r"eseguire «\1»"),
    (r"a passphrase", "una frase segreta"),
    (r"https", "un indirizzo https"),
    (r"https://host/path", "un indirizzo https://nome/percorso"),
    (r"pid \?", "un altro programma"),
    (r"pid (\d+)", r"processo \1"),
    (r"ref (\S+)", r"riferimento \1"),
    (r"HTTP (\d+)", r"risposta \1"),
    (r"line (\d+)", r"riga \1"),
    (r"missing beside its WAL", "manca accanto al suo «-wal»"),
    (r"SQLite|Raccordo", "un archivio di Raccordo"),
    (r"plain text", "testo semplice"),
    (r"UTF-8(?: without BOM)?", "testo UTF-8"),
    (r"a JSON (?:object|value)", "un testo JSON"),
    # proofs
    (r"a key of the member", "una chiave di quell'ente"),
    (r"the key of then", "la chiave che l'ente aveva allora"),
    (r"a key of the log", "la chiave della bacheca"),
    (r"public or network", "public oppure network"),
)  # fmt: skip

HIDDEN: Final = frozenset({
    "1", "B/s", "{} B/s", "2^53-1", "a 12-byte iv and a 16-byte tag", "a compact JWS",
    "a current key with a next one", "a finite number", "a higher seq for another admission",
    "a key that is not the current one", "a new admission with a new key", "a sealing key",
    "a shared secret that is not zero", "a shorter path", "a signature by the log's key", "an RFC 7638 thumbprint",
    "an empty segment", "base64", "base64url",
    "base64url of 32 bytes", "canonical base64", "epoch and seq from 1", "epoch.seq",
    "epoch.seq below 2^53", "fields of a search", "finite", "five segments", "iat, exp and mv from 0",
    "ids rising, each once", "line of a new leaf", "lower-case UUIDv4", "names that are text", "no lone surrogate",
    "no body", "no other member", "no salt in a public record", "no space at the end", "none", "object", "once",
    "one for each kid", "one line",
    "one member's", "origin, size, root", "paired surrogates", "present", "records of the manifest",
    "text, empty line, signatures", "the chain already known, continued", "the current key", "the length of a bucket",
    "the previous key", "the same payload", "three segments", "{e, s} or {r}", "|integer| < 2^53",
    "each leaf once", "every key statement the log names", "every root the log names",
    "no more of the log than is needed", "only leaves that are relied on",
})  # fmt: skip
"""About the wire, never about what a person wrote: shown to programs only."""

_VOCABULARIES: Final = {
    "NA": "need_areas", "TG": "target_groups", "SC": "service_categories", "RK": "referral_kinds",
    "UR": "urgency_levels", "RL": "roles", "DR": "decline_reasons", "OU": "referral_outcomes",
    "PT": "participant_types", "AX": "accessibility_features", "CT": "cost_types",
}  # fmt: skip
OTHER_REASONS: Final = {
    "cancel-agreed": "ritiro concordato", "left-network": "l'ufficio è uscito dalla rete",
    "no-answer": "nessuna risposta dall'ufficio", "no-longer-needed": "non serve più",
    "other-way": "risolto per altra via", "person-withdrew": "la persona ha rinunciato",
    "silent": "l'ufficio non risponde più", "wrong-recipient": "ufficio sbagliato",
}  # fmt: skip
"""Reasons of protocol.offers that stand in no vocabulary file."""


def details(error: ProtocolError) -> list[tuple[str, list[str]]]:
    """(label, lines) of what is worth showing, in Italian."""
    expected = _expected(error)
    found = [("Dove", [_where(error)]), expected, ("Trovato", [_got(error)])]
    if len(expected[1]) > 1:  # a long list comes last
        found = [found[0], found[2], found[1]]
    return [(label, shown) for label, lines in found if (shown := [line for line in lines if line])]


def _where(error: ProtocolError) -> str:
    return "" if error.code == "illegal-event" and error.field == "kind" else _field(error.field)


def _got(error: ProtocolError) -> str:
    if error.code == "illegal-event" and error.got and (act := _acts([error.got])):
        return act
    meaning = _meaning(error.got) if error.got and error.code != "unknown-code" else ""
    return f"{meaning} ({error.got})" if meaning else _phrase(error.got)


def _field(field: str | None) -> str:
    """ "basis.notice_date" → "base giuridica, data dell'informativa"."""
    if field is None or field in _UNSAID:
        return ""
    if field in FIELDS:
        return FIELDS[field]
    if found := re.fullmatch(r"line (\d+)", field):
        return f"riga {found[1]}"
    parts = [part for part in re.sub(r"\[[^\]]*\]|^\$\.?", "", field).split(".") if part]
    return ", ".join(FIELDS[part] for part in parts) if parts and all(part in FIELDS for part in parts) else field


def _phrase(text: str | None) -> str:
    if not text or text in HIDDEN or re.fullmatch(r"\d+ (segments|B/s)", text):
        return ""
    what, _, place = text.partition(" - at `$")  # msgspec names the place too
    for pattern, italian in PHRASES:
        if found := re.fullmatch(pattern, what):
            where = place.strip("`.")
            return f"{where}: {found.expand(italian)}" if where else found.expand(italian)
    return text


def _expected(error: ProtocolError) -> tuple[str, list[str]]:
    words = (error.expected or "").split()
    if error.code == "illegal-event" and (acts := _acts(words)):
        return "Adesso si può", [acts]
    if error.code != "unknown-code" or not words:
        return "Atteso", [_phrase(error.expected)]
    meanings = {word: _meaning(word) for word in words}
    if not all(meanings.values()):  # names that look like what was typed
        return "Forse", [error.expected or ""]
    likely = _likely(error.got or "", meanings)
    wide = max(map(len, words))
    return "Ammessi", [f"{word:{wide}}  {meanings[word]}" for word in (*likely, *(w for w in words if w not in likely))]


def _acts(kinds: list[str]) -> str:
    from protocol.referral_display import ACTIONS

    known = {str(kind): words for kind, words in ACTIONS.items()}
    return ", ".join(known[kind].lower() for kind in kinds) if kinds and all(kind in known for kind in kinds) else ""


def _meaning(code: str) -> str:
    from schemas.vocabularies import label

    if code in OTHER_REASONS:
        return OTHER_REASONS[code]
    name = _VOCABULARIES.get(code.partition("-")[0])
    said = label(name, code) if name else code
    return "" if said == code else said


def _likely(got: str, meanings: dict[str, str]) -> list[str]:
    """The codes a person may have meant come first."""
    typed = got.strip().lower()
    close = get_close_matches(typed.upper(), meanings, n=3, cutoff=0.7)
    named = [code for code, words in meanings.items() if len(typed) > 2 and typed in f"{code} {words}".lower()]
    return list(dict.fromkeys((*named, *close)))
