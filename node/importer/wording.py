"""What can be wrong with a row or a cell, in words for people. Not the refusals of a whole file (schemas.problems).

error: the value was left out; warning: kept, to be checked; notice: it could be better; remark: nothing is wrong, but
what was made of the cell is said, because nothing is done in silence.
"""

# ruff: noqa: E501  one row, one line
from typing import Final, Literal, NamedTuple

Severity = Literal["error", "warning", "notice", "remark"]


class Wording(NamedTuple):
    """How grave it is, what happened ({got} is what was read), what to do."""

    severity: Severity
    it: str
    fix: str


WORDINGS: Final[dict[str, Wording]] = {
    "service-missing": Wording("error", "Manca il nome del servizio: la riga non è stata importata.", "Scrivere il nome del servizio."),
    "hours-missing": Wording("notice", "Orari non indicati.", "Indicare gli orari, o «su appuntamento»."),
    "hours-too-long": Wording("error", "Il testo degli orari è troppo lungo.", "Lasciare solo giorni e ore."),
    "hours-out-of-range": Wording("error", "Orario impossibile: «{got}».", "Correggere l'ora: da 0 a 24."),
    "hours-reversed": Wording("error", "L'ora di chiusura viene prima di quella di apertura: «{got}».", "Correggere l'orario: il programma non lo indovina."),
    "hours-not-understood": Wording("warning", "Parte degli orari non è stata capita: «{got}».", "Scriverli così: lun-ven 9-12; mar e gio 15-17:30."),
    "hours-date": Wording("error", "La cella degli orari contiene una data («{got}»): forse Excel ha cambiato «9-12» in una data.", "Dare alla cella il formato testo e riscrivere gli orari."),
    "hours-assumed": Wording("warning", "Orario interpretato: {got}.", "Confermare o riscrivere i giorni per esteso."),
    "phone-short": Wording("warning", "Il numero «{got}» sembra avere poche cifre.", "Controllare il numero."),
    "phone-long": Wording("error", "Il numero «{got}» ha troppe cifre e non è stato importato.", "Scrivere un numero per volta, separati da «;»."),
    "phone-unclear": Wording("error", "Il telefono «{got}» non è chiaro e non è stato importato.", "Scrivere un numero per volta, separati da «;»."),
    "email-invalid": Wording("error", "L'indirizzo e-mail «{got}» non è valido e non è stato importato.", "Correggere l'e-mail."),
    "email-several": Wording("notice", "Più indirizzi e-mail: usato il primo.", "Tenere quello dello sportello."),
    "comune-variant": Wording("remark", "Comune riconosciuto come {got}.", "Nessuna azione, se è giusto."),
    "comune-ended": Wording("remark", "Il comune oggi fa parte di {got}.", "Nessuna azione: si cerca con entrambi i nomi."),
    "comune-unknown": Wording("error", "Il comune «{got}» non è tra quelli della rete.", "Correggere il nome del comune."),
    "comune-absent": Wording("warning", "Manca il comune, e quello dell'ente non si sa.", "Scrivere il comune della sede."),
    "comune-missing": Wording("warning", "Manca il comune: usato quello dell'ente, {got}.", "Scrivere il comune della sede."),
    "date-invalid": Wording("error", "La data «{got}» non è una data.", "Scriverla così: 15/09/2026."),
    "date-missing": Wording("notice", "Data di aggiornamento assente: voce «non verificata».", "Indicare quando è stata controllata."),
    "date-vague": Wording("notice", "Data senza giorno: «{got}».", "Indicare anche il giorno, se si sa."),
    "date-serial": Wording("notice", "Numero di Excel letto come data: {got}.", "Dare alla cella il formato data."),
    "date-stale": Wording("warning", "Voce controllata più di 180 giorni fa: {got}.", "Controllare se è ancora giusta, poi confermarla."),
    "date-future": Wording("error", "La data «{got}» è nel futuro.", "Correggere la data."),
    "cost-unclear": Wording("warning", "Costo non capito: «{got}».", "Scrivere gratuito, un importo in euro, o in base a ISEE."),
    "cost-assumed": Wording("remark", "Costo «{got}» letto come euro.", "Nessuna azione, se è giusto."),
    "cost-members-only": Wording("warning", "Gratuito solo agli iscritti: il patronato è gratuito per tutti (L. 152/2001).", "Correggere il costo, o chiarirlo con la capofila."),
    "targets-unknown": Wording("notice", "Destinatari non riconosciuti: «{got}».", "Usare le parole dell'elenco, per esempio anziani, famiglie, tutti."),
    "category-unknown": Wording("warning", "Tipo di servizio non riconosciuto dal nome: usato «altro».", "Scegliere la categoria dall'elenco."),
    "language-unknown": Wording("notice", "Lingua non riconosciuta: «{got}».", "Scrivere il nome della lingua per esteso."),
    "accessibility-unclear": Wording("notice", "Accessibilità non capita: «{got}».", "Scrivere per esempio: rampa, un gradino, ascensore."),
    "place-withheld": Wording("warning", "L'indirizzo è segreto o riservato: non è stato importato e non lascia questo computer.", "Toglierlo dal foglio, se il foglio gira: basta la parola SEGRETO."),
    "place-told": Wording("error", "La sede è segreta, ma il testo nomina una via: il testo non è stato importato.", "Togliere la via dal testo."),
    "personal-data": Wording("error", "La cella contiene un codice fiscale o un IBAN: non è stata importata.", "Toglierlo dal foglio: il catalogo non contiene dati di persone."),
    "place-secret": Wording("remark", "Indirizzo segreto: indirizzo, comune e coordinate non lasciano mai questo computer.", "Nessuna azione."),
    "place-reserved": Wording("remark", "Sede riservata: il telefono si pubblica, l'indirizzo no.", "Nessuna azione."),
    "network-only": Wording("remark", "Voce visibile solo agli aderenti («{got}»).", "Nessuna azione."),
    "other-body": Wording("warning", "La riga è di un altro ente: «{got}».", "Controllare che la voce sia da pubblicare qui."),
    "url-invalid": Wording("error", "Il sito «{got}» non è un indirizzo web.", "Correggere il sito."),
    "hidden-characters": Wording("warning", "Tolti caratteri invisibili.", "Riscrivere la cella, se il testo non è giusto."),
    "text-too-long": Wording("warning", "Testo troppo lungo: accorciato.", "Accorciare il testo."),
    "extra-cells": Wording("warning", "La riga ha più celle delle colonne: «{got}» non importato.", "Controllare separatori e virgolette."),
    "same-key": Wording("warning", "Stesso servizio, comune e indirizzo della riga {got}.", "Togliere la riga doppia, o distinguere i nomi."),
    "duplicate-desk": Wording("warning", "Stesso telefono e indirizzo della riga {got}: forse è lo stesso sportello.", "Se è uno solo, unire le righe."),
    "mixed-service": Wording("warning", "Sembrano due servizi in una riga: {got}.", "Dividere in due righe, ognuna con i suoi orari."),
    "row-unreadable": Wording("error", "La riga non è stata importata.", "Controllare la riga."),
}  # fmt: skip


class RowProblem(NamedTuple):
    """A problem of a row: the column as written in the sheet, the field, the code, the sentence."""

    column: str
    field: str
    code: str
    message: str

    @property
    def severity(self) -> Severity:
        return WORDINGS[self.code].severity


def row_problem(code: str, column: str = "", field: str = "", got: str = "") -> RowProblem:
    """What happened and what to do, in one Italian text; `got` is shortened."""
    words = WORDINGS[code]
    shown = got if len(got) <= 80 else got[:79] + "…"
    return RowProblem(column, field, code, f"{words.it.format(got=shown)} {words.fix}")
