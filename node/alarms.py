"""The alarms a node raises, by code: what a screen says. Words only, so that a command line may show them.

Codes that are problem codes too (rejected ones, log-fork …) are worded in schemas.problems.
"""

from typing import Final

ALARMS: Final[dict[str, str]] = {
    "not-stored": "Non risulta arrivato: telefonare all'ufficio.",
    "not-opened": "Nessuno l'ha ancora aperto: telefonare all'ufficio.",
    "expired": "Non è arrivato in trenta giorni, si continua a spedire: telefonare all'ufficio.",
    "recipient-suspended": "L'ufficio è sospeso dalla rete: l'invio è fermo qui. Sentire l'ente capofila.",
    "recipient-ended": "L'ufficio ha lasciato la rete: scegliere un'altra strada.",
    "rejected": "L'altro programma non ha potuto accettare un passaggio: telefonare all'ufficio.",
    "restored": "L'altro ufficio risulta ripristinato da una copia: telefonare all'ufficio.",
    "set-aside": "Un messaggio arrivato non si è potuto leggere ed è messo da parte: vedere «quarantine».",
    "heads-differ": "La bacheca d'Ambito ha mostrato a noi e a questo ente due storie diverse: possibile manomissione. "
    "Avvisare i garanti; le due firme sono conservate: «heads».",
    "restored-here": "Questo archivio è tornato da una copia: si chiede all'ufficio che cosa è cambiato, e intanto i "
    "suoi invii sono fermi. Se non risponde, telefonare.",
    "webhook-disabled": "Un'applicazione non ha risposto per tre giorni e non viene più avvisata: vedere «apps list».",
    "backup-failed": "La copia di sicurezza non è riuscita: «status» dice perché.",
    "erasure-asked": "L'altro ufficio chiede di cancellare un invio: rispondere con «answer-erase».",
    "erasure-refused": "L'altro ufficio non cancella: il motivo si vede con «erasures».",
    "recall-opened": "L'invio mandato per errore era già stato aperto: valutare la violazione entro 72 ore.",
    "key-new": "L'ufficio ha una chiave nuova: prima di scrivergli telefonare e confrontare le otto parole, poi "
    "«keys confirm».",
    "keys-refused": "La bacheca non ha accettato le nostre chiavi nuove: il programma riprova. Se si ripete, sentire "
    "l'ente capofila.",
    "member-left": "Ha lasciato la rete con invii ancora aperti: quelli mandati si chiudono con «cancel» o «lapse», "
    "quelli ricevuti come gli altri.",
    "publish-again": "Siamo rientrati nella rete: le nostre voci vanno pubblicate di nuovo, con «publish».",
    "own-entry-foreign-routes": "L'elenco porta una nostra dichiarazione che questo programma non ha scritto. Se non è "
    "tornato da una copia, qualcuno ha la nostra chiave: «keys compromised».",
    "own-entry-changed": "I dati del nostro ente nell'elenco sono cambiati: controllarli con «members».",
    "attachment-unsupported": "Il programma dell'altro ufficio non riceve allegati: consegnarli in altro modo.",
    "attachment-refused": "Un allegato non è stato accettato o non è più leggibile: telefonare all'ufficio.",
    "attachment-unconfirmed": "L'altro ufficio non conferma di avere un allegato intero: telefonare.",
    "attachment-late": "Un allegato annunciato non arriva: telefonare all'ufficio.",
    "attachment-failed": "Un allegato è arrivato guasto più volte: chiedere all'ufficio di allegarlo di nuovo.",
    "forward-ended": "L'ufficio a cui era inoltrato non dà un esito: inoltrare ad altri o lasciare l'invio.",
    "forward-amended": "Un invio inoltrato è stato corretto o integrato: se serve oltre, «amend» dell'inoltro.",
    "forward-stuck": "Un invio inoltrato non si aggiorna da solo: telefonare a chi l'ha mandato e a chi l'ha ricevuto.",
    "forward-apart": "L'invio è finito da una parte e aperto dall'altra: telefonare all'ufficio a cui era inoltrato.",
    "still-needed": "In lista da molto: chiedere se la persona ne ha ancora bisogno, con «still-needed».",
    "not-arrived": "L'appuntamento è passato e non si sa se la persona è arrivata: sentirla, o telefonare all'ufficio.",
    "peer-restored": "L'altro ufficio è stato ripristinato da una copia: gli si rimanda quello che ha perso.",
    "resync-unproven": "L'altro ufficio ha rimandato passaggi di origine non dimostrata: confrontare al telefono.",
    "given-back": "Un passaggio scritto qui non vale più dopo il ripristino: rileggerlo e decidere.",
    "own-entry-absent": "Il nostro ente non è più nell'elenco degli aderenti: sentire l'ente capofila.",
    "own-entry-not-active": "Il nostro ente risulta sospeso o uscito dalla rete: sentire l'ente capofila.",
    "own-entry-foreign-key": "L'elenco indica per noi una chiave che non è nostra: possibile manomissione, telefonare.",
    "own-entry-foreign-sealing": "L'elenco indica per noi una chiave di lettura non nostra: possibile manomissione.",
    "own-entry-unroutable": "I nostri recapiti di rete non risultano validi: ripetere la dichiarazione.",
}


def words(code: str) -> str | None:
    """What to say of an alarm; None for a problem code."""
    if code in ALARMS:
        return ALARMS[code]
    return "La nostra adesione non risulta valida: sentire l'ente capofila." if code.startswith("own-entry-") else None
