"""Every problem the network can name: one closed table of stable codes. Not the exceptions (protocol.errors).

A problem travels as application/problem+json (RFC 9457) and looks like this:
{"type":"about:blank","title":"…","status":422,"code":"ct-mismatch","retry":"never","field":"s"}
Codes are never reused or renamed. `it`/`en` say what happened, `fix` what to do next (Italian, for people).
"""

from typing import Final, Literal, NamedTuple

Retry = Literal["never", "later", "after-fix"]


class Problem(NamedTuple):
    """One row: HTTP status, whether to try again, what happened (Italian, English), what to do (Italian)."""

    status: int
    retry: Retry
    it: str
    en: str
    fix: str


_ASK = "Segnalarlo a chi gestisce la rete, con il codice."
_WAIT = "Non serve fare nulla: il programma riprova da solo."

PROBLEMS: Final[dict[str, Problem]] = {
    # -- reading bytes
    "too-large": Problem(413, "after-fix", "Il contenuto supera la dimensione ammessa.", "too large", "Ridurre il contenuto e riprovare."),
    "bad-json": Problem(400, "never", "Il contenuto non è JSON valido.", "not valid JSON", _ASK),
    "json-too-deep": Problem(400, "never", "Il contenuto è annidato troppo in profondità.", "nested too deeply", _ASK),
    "json-duplicate-name": Problem(400, "never", "Lo stesso nome compare due volte.", "duplicate member name", _ASK),
    "json-number": Problem(400, "never", "Un numero è fuori dai limiti.", "number out of range", _ASK),
    "bad-encoding": Problem(400, "never", "Il testo non è UTF-8 valido.", "not strict UTF-8", _ASK),
    "bad-shape": Problem(422, "after-fix", "Un campo manca o ha un valore non ammesso.", "a field is missing or wrong", "Correggere il campo indicato."),
    "bad-base64": Problem(400, "never", "Una parte codificata non è in forma canonica.", "not canonical base64url", _ASK),
    "content-encoding": Problem(415, "never", "I contenuti compressi non sono accettati.", "no Content-Encoding accepted", "Inviare il contenuto non compresso."),
    # -- keys, signatures, sealing
    "bad-key": Problem(422, "never", "La chiave non è valida.", "the key is malformed or of low order", "Generare una chiave nuova."),
    "bad-header": Problem(422, "never", "L'intestazione firmata non è quella prevista.", "protected header is not the fixed one", _ASK),
    "unknown-key": Problem(403, "later", "La chiave non appartiene a un aderente conosciuto.", "the key is not a key of that member", _WAIT),
    "revoked-key": Problem(403, "never", "La chiave è stata revocata.", "the key was revoked", _ASK),
    "bad-signature": Problem(422, "never", "La firma non è valida.", "the signature does not verify", _ASK),
    "ct-mismatch": Problem(422, "never", "Il contenuto non corrisponde alla firma.", "ct does not match the sealed part", _WAIT),
    "cannot-open": Problem(422, "later", "Il contenuto non si apre con le chiavi presenti.", "cannot be opened with the keys held", _WAIT),
    "bad-seal": Problem(422, "never", "La parte sigillata non è costruita come previsto.", "the sealed part is malformed", _ASK),
    "commitment-mismatch": Problem(422, "never", "Il contenuto non corrisponde all'impegno firmato.", "cm does not match salt and body", _ASK),
    "inner-outer-mismatch": Problem(422, "never", "Mittente o destinatario interni ed esterni non coincidono.", "inner and outer names differ", _ASK),
    "wrong-network": Problem(422, "never", "Il messaggio appartiene a un'altra rete.", "another network", "Controllare l'invito ricevuto."),
    "wrong-recipient": Problem(422, "never", "Il messaggio è per un altro destinatario.", "addressed to somebody else", _ASK),
    "to-self": Problem(422, "never", "Mittente e destinatario coincidono.", "sender and recipient are the same", "Usare il passaggio interno tra sportelli."),
    "bad-node-id": Problem(422, "never", "Il nome tecnico dell'ente non è valido.", "not a NodeId", "Usare lettere minuscole, cifre e trattini."),
    "unsupported-version": Problem(422, "never", "Versione del protocollo non supportata.", "unsupported protocol version", "Aggiornare il programma."),
    # -- events and delivery
    "expired": Problem(410, "later", "Il messaggio è scaduto prima di arrivare: verrà rispedito.", "the sealing expired", _WAIT),
    "reseal": Problem(409, "later", "Il messaggio va sigillato di nuovo con la chiave attuale.", "sealed to a key no longer held", _WAIT),
    "bad-lifetime": Problem(422, "never", "La durata dichiarata del messaggio non è ammessa.", "exp is not within 30 days after iat", _ASK),
    "from-the-future": Problem(409, "later", "L'orologio del mittente è avanti.", "iat is more than 300 s ahead", "Controllare l'ora del computer."),
    "damaged": Problem(422, "later", "Il messaggio è arrivato danneggiato.", "damaged on the way", _WAIT),
    "jti-reuse": Problem(409, "never", "Lo stesso identificativo è stato usato per due contenuti.", "same jti, other content", _ASK),
    "n-reuse": Problem(409, "never", "Due contenuti diversi per lo stesso passo.", "two contents for one (leg, writer, n)", "Telefonare all'altro ufficio."),
    "restored": Problem(409, "later", "L'altro ufficio risulta ripristinato da una copia.", "the peer looks restored from a backup", "Telefonare all'altro ufficio."),
    "unsupported": Problem(422, "never", "Il messaggio richiede una funzione non presente.", "names a feature not understood", "Aggiornare il programma."),
    "bad-body": Problem(422, "never", "Il contenuto del messaggio non è valido.", "the body does not fit its schema", _ASK),
    "unknown-leg": Problem(422, "never", "Il messaggio riguarda un invio mai ricevuto.", "about a referral never offered", _ASK),
    "not-your-leg": Problem(403, "never", "L'invio appartiene ad altri uffici.", "the leg is between other members", _ASK),
    "bad-receipt": Problem(422, "never", "La ricevuta non è valida.", "the receipt does not verify", _ASK),
    "suspended": Problem(403, "later", "L'ente è sospeso dalla rete.", "the member is suspended", "Sentire l'ente capofila."),
    "not-a-member": Problem(403, "later", "L'ente non risulta aderente alla rete.", "not a current member", "Controllare l'elenco degli aderenti."),
    "mailbox-full": Problem(429, "later", "La casella del destinatario è piena.", "the mailbox is full", _WAIT),
    "no-mailbox-here": Problem(404, "never", "Qui non si tengono caselle per quel destinatario.", "no mailbox here for that member", _ASK),
    "busy": Problem(503, "later", "Il servizio è momentaneamente occupato.", "busy, try again", _WAIT),
    "clock-wrong": Problem(409, "later", "L'ora di questo computer è sbagliata: non si scrivono nuovi eventi.", "local clock is more than 300 s off", "Regolare data e ora del computer, poi riprovare."),
    # -- attachments
    "attachment-type": Problem(422, "after-fix", "Questo tipo di file non si può allegare.", "only PDF, JPEG and PNG travel", "Allegare un PDF, oppure una foto JPEG o PNG. Un HEIC o un TIFF va prima salvato come JPEG, un testo come PDF."),
    "attachment-too-large": Problem(413, "after-fix", "L'allegato supera 5 MiB, o gli allegati di un passo superano 20 MiB.", "more than 5 MiB, or 20 MiB together", "Una foto: provare --preview, poi --reduce. Un PDF: scansionarlo a 150 punti, o dividerlo."),
    "attachment-unreadable": Problem(422, "after-fix", "L'immagine non si può leggere o è troppo grande da ridurre.", "the picture cannot be read or has too many pixels", "Rifare la foto o la scansione con meno punti."),
    "attachment-arriving": Problem(409, "later", "L'allegato non è ancora arrivato tutto.", "not all of the attachment is here", _WAIT),
    "attachment-unknown": Problem(404, "never", "In questo invio non c'è un allegato con quel numero.", "no attachment of that number", "Vedere i numeri con «attachments»."),
    # -- calls
    "unauthenticated": Problem(401, "after-fix", "Richiesta senza firma valida.", "no valid request token", "Controllare data e ora del computer."),
    "forbidden": Problem(403, "never", "Non consentito a chi lo chiede.", "not allowed", "Chiedere al coordinatore dello sportello."),
    "not-found": Problem(404, "never", "Non trovato.", "not found", "Controllare l'indirizzo o il codice."),
    "bad-request": Problem(400, "never", "La richiesta non è HTTP ben formato.", "malformed HTTP request", _ASK),
    "method-not-allowed": Problem(405, "never", "Operazione non prevista a questo indirizzo.", "method not allowed", _ASK),
    "unsupported-media": Problem(415, "never", "Tipo di contenuto non previsto.", "unsupported media type", _ASK),
    "too-fast": Problem(429, "later", "Troppe richieste insieme, o troppi dati in poco tempo, da uno stesso ente o indirizzo.", "too many calls at once or too much in a short time from one caller", _WAIT),
    "internal": Problem(500, "later", "Errore interno: è stato annotato.", "internal error", _ASK),
    # -- applications
    "token-expired": Problem(401, "after-fix", "Il token dell'applicazione è scaduto.", "the application's token expired", "Farne uno nuovo con «apps add», poi «apps revoke» per quello vecchio."),
    "token-revoked": Problem(401, "after-fix", "Il token dell'applicazione è stato revocato.", "the application's token was revoked", "Farne uno nuovo con «apps add»: dopo un ripristino da una copia vanno rifatti tutti."),
    "token-scope": Problem(403, "after-fix", "L'applicazione non ha il permesso che serve qui.", "the token lacks the scope asked for here", "Farle un token nuovo con quel permesso, se deve averlo."),
    "wrong-host": Problem(403, "after-fix", "La richiesta usa per questo computer un nome che non è il suo.", "the Host is not a name of this computer", "Usare l'indirizzo indicato da «apps list», o aggiungere il nome alla configurazione."),
    "person-only": Problem(403, "never", "Solo una persona può dire di aver aperto un invio, non un'applicazione.", "only a person may say that a referral was opened", "Far aprire l'invio a un operatore, dal programma."),
    "idempotency-conflict": Problem(409, "never", "La stessa chiave di richiesta è già stata usata per un'altra richiesta.", "the idempotency key was used for another request", "Usare una chiave nuova per ogni richiesta nuova."),
    "events-gone": Problem(410, "after-fix", "Le novità chieste sono troppo vecchie e non ci sono più.", "the events asked for are too old", "Rileggere gli elenchi, poi ripartire dal numero indicato."),
    "webhook-address": Problem(422, "after-fix", "L'indirizzo da avvisare non è ammesso: è interno, o non è https.", "the webhook's address is an inner one, or not https", "Indicare un indirizzo https pubblico."),
    # -- membership, log
    "members-expired": Problem(409, "later", "L'elenco degli aderenti è scaduto.", "the members document expired", "Verificare il collegamento con la bacheca d'Ambito."),
    "members-rollback": Problem(409, "never", "L'elenco degli aderenti è più vecchio di quello già noto.", "members version fell", "Avvisare l'ente capofila: possibile manomissione."),
    "members-fork": Problem(409, "never", "Esistono due elenchi diversi degli aderenti con lo stesso numero.", "two members documents or statements of one number", "Avvisare l'ente capofila: possibile manomissione."),
    "root-chain": Problem(422, "never", "La catena delle radici non è valida.", "the root chain does not verify", "Avvisare l'ente capofila: possibile manomissione."),
    "root-expired": Problem(409, "later", "La radice della rete è scaduta.", "the root expired", "I garanti devono firmarne una nuova."),
    "threshold": Problem(422, "never", "Mancano firme di garanti.", "not enough distinct guarantor signatures", "Raccogliere le firme mancanti."),
    "not-a-guarantor": Problem(403, "after-fix", "La chiave non è di un garante di questa rete.", "the key is not a guarantor's of this network", "Usare la chiave di un garante di questa rete, oppure controllare di quale rete è il file."),
    "admission-invalid": Problem(422, "never", "L'ammissione non è firmata dai garanti.", "the admission does not verify", _ASK),
    "key-unconfirmed": Problem(409, "after-fix", "L'ufficio ha una chiave nuova che nessuno ha ancora confermato: non gli si scrive.", "a new key of that member has to be confirmed by telephone first", "Telefonargli a un numero che si conosce, confrontare le otto parole, poi «keys confirm»."),
    "words-differ": Problem(409, "after-fix", "Le parole non sono quelle della chiave: potrebbe non essere la sua.", "the words are not those of the key", "Rileggerle al telefono; se non tornano, non confermare e avvisare l'ente capofila."),
    "nothing-to-confirm": Problem(404, "never", "Questo ente non ha chiavi da confermare.", "that member has no new key", "Vedere l'elenco con «keys»."),
    "no-emergency-key": Problem(409, "never", "L'ammissione di questo ente non porta una chiave d'emergenza.", "the admission names no recovery key", "Chiedere ai garanti: «keys recover --request FILE»."),
    "wrong-emergency-key": Problem(403, "after-fix", "Non è la chiave d'emergenza di questo ente.", "not the recovery key of the admission", "Cercare il file giusto, oppure chiedere ai garanti: «keys recover --request FILE»."),
    "key-chain": Problem(422, "never", "La catena delle chiavi dell'ente non è valida.", "the member's key chain does not verify", _ASK),
    "log-rollback": Problem(409, "never", "La bacheca mostra una storia più corta di quella nota.", "the log shrank", "Avvisare l'ente capofila: possibile manomissione."),
    "log-fork": Problem(409, "never", "La bacheca mostra una storia diversa da quella nota.", "the log is inconsistent with the head held", "Avvisare l'ente capofila: possibile manomissione."),
    "log-moved": Problem(409, "later", "La bacheca è cambiata nel frattempo.", "the log moved", _WAIT),
    "bad-checkpoint": Problem(422, "never", "Il sigillo della bacheca non è valido.", "the checkpoint does not verify", _ASK),
    "bad-proof": Problem(422, "never", "La prova non corrisponde.", "the proof does not verify", _ASK),
    "not-in-log": Problem(422, "never", "La prova non sta nella storia firmata dalla bacheca.", "a part of the proof is not in the log under its signed head", "Non fidarsi di questa voce: chiedere la prova a un altro ente."),
    "proof-incomplete": Problem(422, "never", "Alla prova manca una parte.", "a leaf that the proof relies on is not shown", "Chiedere di nuovo la prova intera."),
    "record-altered": Problem(422, "never", "La voce non è quella firmata dall'ente.", "the record is not the one that was published", "Non fidarsi di questa voce: telefonare all'ente."),
    "wrong-entry": Problem(422, "never", "La prova riguarda un'altra voce.", "the proof is about another entry", "Chiedere la prova della voce che serve."),
    "entry-removed": Problem(410, "never", "L'ente ha tolto o cambiato questa voce: la prova non vale più.", "the log names a later publication or a withdrawal", "Cercare la voce nella mappa di oggi."),
    "heads-agree": Problem(422, "never", "I due sigilli non si contraddicono.", "the two heads are consistent, or nothing shows that they are not", _ASK),
    "too-many": Problem(429, "later", "Troppe richieste in poco tempo da questo ente.", "quota exceeded", "Riprovare più tardi: il limite è giornaliero."),
    "invitation-invalid": Problem(403, "never", "L'invito non è valido, è scaduto o è già stato usato.", "invitation unknown, used or expired", "Chiedere un nuovo invito alla capofila."),
    "id-taken": Problem(409, "after-fix", "Il nome tecnico è già usato.", "node id already used", "Sceglierne un altro."),
    "already-decided": Problem(409, "never", "La richiesta è già stata decisa.", "already decided", "Controllare l'elenco degli aderenti."),
    "still-open": Problem(409, "after-fix", "Ci sono invii ancora aperti, o in partenza.", "referrals are open or still to be sent", "Concluderli prima, oppure «leave --anyway»."),
    "not-degraded": Problem(409, "later", "La rete non si aggiorna da troppo tempo: non si offrono nuovi invii.", "beyond the degraded period", "Ripristinare il collegamento con la bacheca d'Ambito."),
    # -- catalogue
    "catalogue-id-not-yours": Problem(409, "never", "Una voce usa l'identificativo di un altro ente.", "an id first logged by another member", "Togliere la voce e inserirla di nuovo."),
    "catalogue-too-large": Problem(413, "after-fix", "Il catalogo supera 5.000 voci.", "more than 5,000 records", "Ridurre le voci."),
    "record-too-large": Problem(413, "after-fix", "Una voce supera 64 KiB.", "a record exceeds 64 KiB", "Accorciare i testi della voce."),
    "catalogue-too-old": Problem(409, "never", "Il catalogo è più vecchio di quello già pubblicato.", "the revision is not the next one", "Aggiornare e pubblicare di nuovo."),
    "catalogue-root": Problem(422, "never", "Il catalogo non corrisponde alla firma.", "manifest or records do not match the root", _ASK),
    "catalogue-secret-place": Problem(422, "after-fix", "Una voce con sede segreta contiene un indirizzo.", "a secret place carries a location", "Togliere indirizzo, comune e coordinate."),
    "catalogue-not-plain": Problem(422, "after-fix", "Una voce contiene testo non semplice.", "markup or control characters in text", "Togliere codice o caratteri invisibili."),
    "catalogue-personal-data": Problem(422, "after-fix", "Una voce sembra contenere dati personali.", "looks like personal data", "Togliere il dato dalla voce."),
    # -- referral use cases
    "illegal-event": Problem(409, "never", "Passaggio non previsto nello stato attuale.", "not allowed in this state", "Aprire l'invio e controllare lo stato."),
    "not-capable": Problem(403, "never", "Questo ufficio non può prendere in carico.", "the desk may not take in charge", "Usare un altro passaggio o reindirizzare."),
    "role-forbidden": Problem(403, "never", "Il ruolo dell'operatore non lo consente.", "the operator's role does not allow it", "Chiederlo a chi ha il ruolo adatto: «operators list» dice chi c'è."),
    "unknown-operator": Problem(403, "after-fix", "Codice operatore sconosciuto o disattivato.", "unknown or disabled operator code", "Aggiungerlo con «raccordo-node operators add»."),
    "unknown-recipient": Problem(404, "after-fix", "Il destinatario non è un aderente.", "the recipient is not a member", "Scegliere un altro ufficio dalla mappa."),
    "external-body": Problem(409, "never", "Questo ente non è nella rete e non riceve invii.", "listed in the map, but no member: it receives no referrals", "Dare alla persona il foglio con orari e recapiti: «slip»."),
    "handed-over": Problem(409, "never", "La persona è in carico all'altro ufficio: nella scheda non si aggiunge più nulla.", "taken in charge by the receiver: the sheet is closed", "Rispondere se l'ufficio lo chiede, o telefonare. Un dato sbagliato si corregge con «rectify»."),
    "incapable-recipient": Problem(409, "after-fix", "Il destinatario non può ricevere questo tipo di invio.", "the recipient lacks the capability", "Scegliere un ufficio abilitato."),
    "basis-required": Problem(422, "after-fix", "Manca la base giuridica o il consenso.", "legal basis missing", "Indicare la base giuridica."),
    "person-not-allowed": Problem(422, "after-fix", "Questo tipo di invio non ammette dati della persona.", "this kind carries no person fields", "Togliere i dati della persona."),
    "requester-not-allowed": Problem(422, "after-fix", "Chiede un gruppo o un ente, ma l'invio riguarda una persona.", "a group or a body asks, but the subject is a person", "Scrivere --subject group, oppure none; oppure indicare la persona invece del gruppo."),
    "unknown-code": Problem(422, "after-fix", "Un nome o un codice non è fra quelli ammessi.", "not a name or code of the vocabulary", "Scegliere fra quelli indicati."),
    "unknown-case": Problem(404, "never", "Invio sconosciuto.", "unknown case", "Controllare il codice."),
    "patronato-redirect": Problem(409, "never", "Non si reindirizza da un patronato a un altro.", "never from one patronato to another", "Lasciare la scelta alla persona."),
    "erased": Problem(410, "never", "L'invio è stato cancellato: il contenuto non c'è più.", "the referral was erased", "Se serve ancora, ripartire dalla persona con un invio nuovo."),
    "retention-duty": Problem(409, "never", "L'ente deve ancora conservarlo: qui è stato preso in carico (GDPR art. 17, par. 3, lett. b).", "a duty to keep it holds", "Rispondere alla persona che il diritto alla cancellazione non si applica ancora, e fino a quando; se i dati sono contestati, usare «limit»."),
    "limited": Problem(409, "never", "Il trattamento è limitato (GDPR art. 18): si conserva e basta.", "processing is limited", "Rivolgersi al responsabile del servizio: la limitazione si toglie con «limit --lift», dopo averlo detto alla persona."),
    "not-asked": Problem(404, "never", "Nessuna richiesta di cancellazione attende una risposta per questo invio.", "no request to erase waits for an answer", "Guardare l'elenco con «erasures»."),
    "not-a-router": Problem(403, "never", "Questo ente non è abilitato a inoltrare gli invii.", "the body may not forward", "Indicare l'altro ufficio con «redirect»: conferma chi ha inviato."),
    "forward-not-accepted": Problem(409, "after-fix", "Si inoltra soltanto un invio accolto e non ancora preso in carico.", "the parent is not accepted, or further", "Prima accoglierlo con «accept»."),
    "forward-open": Problem(409, "after-fix", "L'invio è inoltrato: risponde l'altro ufficio.", "a child of this referral stands in the way", "Attendere che l'altro ufficio finisca, o ritirare l'inoltro; poi inoltrare ad altri o lasciare l'invio."),
    "forward-loop": Problem(422, "never", "L'invio è già passato da quell'ufficio.", "a member stands twice in the path", "Scegliere un altro ufficio."),
    "forward-hops": Problem(422, "never", "L'invio è già stato inoltrato tre volte.", "more than three hops", "Lasciare l'invio, con il motivo: chi ha inviato sceglie un'altra strada."),
    # -- this machine
    "disk-full": Problem(507, "later", "Il disco è pieno: nulla è stato salvato.", "no space left, nothing was stored", "Liberare spazio, poi riprovare."),
    "store-busy": Problem(503, "after-fix", "L'archivio è già usato da un altro programma in funzione.", "the store is owned by another process", "Chiudere l'altro programma, oppure lasciarlo in funzione: i comandi lo raggiungono."),
    "store-damaged": Problem(500, "never", "L'archivio è danneggiato.", "the store is damaged", "Ripristinare dall'ultima copia."),
    "store-settings": Problem(500, "never", "L'archivio non garantisce la scrittura su disco.", "store settings are not durable", _ASK),
    "store-newer": Problem(500, "never", "L'archivio è di una versione più recente del programma.", "the store is newer than this program", "Aggiornare il programma."),
    "config-invalid": Problem(500, "after-fix", "La configurazione non è valida.", "invalid configuration", "Correggere la riga indicata."),
    "config-missing": Problem(500, "after-fix", "Manca la configurazione.", "no configuration", "Eseguire prima «init», o indicare la cartella giusta con --dir."),
    "not-running": Problem(503, "after-fix", "Il programma non è in funzione su questa cartella.", "the program is not running on this directory", "Avviarlo in un'altra finestra con «serve», poi ripetere il comando."),
    "outbound-refused": Problem(502, "never", "Indirizzo esterno non ammesso.", "outbound address not allowed", "Controllare l'indirizzo nella configurazione."),
    "unreachable": Problem(502, "later", "Non raggiungibile in questo momento.", "unreachable", _WAIT),
    "too-slow": Problem(408, "later", "Il contenuto arrivava troppo lentamente.", "the body came too slowly", _WAIT),
    "keys-missing": Problem(500, "after-fix", "Manca il file delle chiavi.", "no key file", "Ripristinarlo dalla copia, o eseguire «init» se è un'installazione nuova."),
    "keys-exist": Problem(409, "never", "Il file delle chiavi esiste già: non viene sovrascritto.", "the key file exists", "Usare l'installazione che c'è, o indicare un'altra cartella con --dir."),
    "keys-exposed": Problem(500, "after-fix", "Un file segreto è leggibile da altri utenti di questo computer.", "a secret file is readable by others", "Restringere i permessi: chmod 600 sul file indicato."),
    "dir-exposed": Problem(500, "after-fix", "La cartella dei dati è aperta ad altri utenti di questo computer.", "the data directory is open to others", "Restringere i permessi: chmod 700 sulla cartella indicata."),
    "store-on-network": Problem(500, "after-fix", "L'archivio è su un disco di rete: lì ciò che si conferma può andare perso.", "the store lies on a network filesystem", "Spostare la cartella dei dati su un disco di questo computer, poi indicarla con --dir."),
    "keys-damaged": Problem(500, "never", "Il file delle chiavi è danneggiato.", "the key file is damaged", "Ripristinarlo dall'ultima copia."),
    "bad-passphrase": Problem(403, "after-fix", "La frase segreta delle chiavi manca o è sbagliata.", "passphrase missing or wrong", "Riprovare con la frase segreta giusta."),
    "file-exists": Problem(409, "after-fix", "Il file esiste già: non viene sovrascritto.", "the file exists", "Scegliere un altro nome, o spostare quello presente."),
    "file-missing": Problem(404, "after-fix", "Il file o la cartella non si trova.", "the file or directory does not exist", "Controllare il nome, e in quale cartella ci si trova."),
    "file-unusable": Problem(500, "after-fix", "Il sistema non lascia usare questo file o questa cartella.", "the system refused the file or directory", "Controllare che il disco sia collegato e che il nome sia giusto."),
    "no-permission": Problem(500, "after-fix", "Manca il permesso di leggere o scrivere qui.", "no permission to read or write here", "Usare una cartella propria (--dir), o chiedere il permesso a chi gestisce il computer."),
    "wrong-file": Problem(422, "after-fix", "Il file non è quello che serve qui.", "not the kind of file expected here", "Controllare quale file si è indicato."),
    # -- copies
    "backup-damaged": Problem(422, "never", "La copia è danneggiata o incompleta: non se ne usa nulla.", "the copy is damaged or cut short", "Usare un'altra copia."),
    "backup-newer": Problem(422, "after-fix", "La copia è di una versione più recente del programma.", "the copy is of a newer version", "Aggiornare il programma."),
    "backup-foreign": Problem(409, "never", "La copia è di un altro ente o di un'altra rete.", "the copy is another member's or another network's", "Controllare quale copia e quale cartella si sono indicate."),
    "backup-target": Problem(409, "later", "La cartella delle copie non c'è o non si può usare.", "the directory of copies is not there or cannot be used", "Collegare il disco delle copie, o correggere la cartella nella configurazione."),
    "backup-unset": Problem(422, "after-fix", "Non è detto dove mettere le copie, o con che cosa cifrarle.", "no directory or no secret for copies", "Indicare cartella e frase segreta: opzioni del comando, o sezione [backup] della configurazione."),
    "target-not-empty": Problem(409, "after-fix", "La cartella non è vuota: non viene sovrascritta.", "the directory is not empty", "Scegliere un'altra cartella, o aggiungere --replace: quello che c'è viene messo da parte."),
    "resync-open": Problem(409, "later", "L'archivio è tornato da una copia e quell'ufficio non ha ancora detto che cosa è cambiato.", "restored from a copy; that member has not told us yet what we forgot", "Si chiede da sé: di solito bastano pochi minuti. Se l'ufficio non risponde, telefonare, poi «raccordo-node restore --confirm-peer ENTE»."),
    "registry-restored": Problem(409, "after-fix", "La bacheca è tornata da una copia: non firma finché non sa che cosa gli enti hanno già visto.", "restored from a copy; signs nothing until told what members have seen", "Chiedere a un ente il file di «raccordo-node seen», poi «raccordo-registry restore --seen FILE»."),
    # -- trying
    "sandbox-failed": Problem(500, "after-fix", "La rete di prova non è partita, o un suo passo non è riuscito.", "the throw-away network did not start, or a step of it failed", "Leggere che cosa ha detto, chiudere altri programmi pesanti e riprovare."),
    # -- import
    "import-not-a-table": Problem(422, "after-fix", "Il file non è una tabella leggibile.", "not a readable table", "Salvare il foglio come .xlsx o .csv e riprovare."),
    "import-picture": Problem(422, "after-fix", "Il file è un'immagine, non una tabella.", "the file is a picture", "Serve il foglio originale, non una foto o una scansione."),
    "import-no-header": Problem(422, "after-fix", "Non si trova la riga con i nomi delle colonne.", "no header row found", "Partire dal modello: «raccordo-node import --template»."),
    "import-empty": Problem(422, "after-fix", "Il file non contiene voci.", "no rows", "Controllare il file."),
    "import-too-large": Problem(413, "after-fix", "Il file è troppo grande.", "file too large", "Dividere il file."),
}  # fmt: skip
