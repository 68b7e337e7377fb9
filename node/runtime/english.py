"""The English of what `say` says: refusals, what to do, doctor. Not the help of commands nor their answers.

A text that has no English here is shown in Italian; a test holds the table against PROBLEMS and the calls of `say`.
"""

from typing import Final

TEXTS: Final[dict[str, str]] = {
    # -- attachments
    "Una foto: provare --preview, poi --reduce. Un PDF: scansionarlo a 150 punti, o dividerlo.":
        "A picture: try --preview, then --reduce. A PDF: scan it at 150 dpi, or split it.",
    "Rifare la foto o la scansione con meno punti.": "Take the picture or the scan again with fewer pixels.",
    "Vedere i numeri con «attachments».": "See the numbers with “attachments”.",
    # -- labels
    "Codice": "Code",
    "Cosa fare": "What to do",
    "Dove": "Where",
    "Atteso": "Expected",
    "Trovato": "Found",
    "Interrotto.": "Interrupted.",
    # -- what to do
    "Accorciare i testi della voce.": "Shorten the texts of the entry.",
    "Aggiornare e pubblicare di nuovo.": "Refresh and publish again.",
    "Aggiornare il programma.": "Update the program.",
    "Farne uno nuovo con «apps add», poi «apps revoke» per quello vecchio.":
        "Make a new one with “apps add”, then “apps revoke” for the old one.",
    "Farne uno nuovo con «apps add»: dopo un ripristino da una copia vanno rifatti tutti.":
        "Make a new one with “apps add”: after a restore all of them have to be made anew.",
    "Farle un token nuovo con quel permesso, se deve averlo.":
        "Make it a new token with that scope, if it is to have it.",
    "Usare l'indirizzo indicato da «apps list», o aggiungere il nome alla configurazione.":
        "Use the address that “apps list” names, or add the name to the configuration.",
    "Far aprire l'invio a un operatore, dal programma.": "Let an operator open the referral, in the program.",
    "Usare una chiave nuova per ogni richiesta nuova.": "Use a new key for each new request.",
    "Rileggere gli elenchi, poi ripartire dal numero indicato.":
        "Read the lists again, then start from the number named.",
    "Indicare un indirizzo https pubblico.": "Name a public https address.",
    "Aggiungerlo con «raccordo-node operators add».": "Add it with “raccordo-node operators add”.",
    "Allegare un PDF, oppure una foto JPEG o PNG. Un HEIC o un TIFF va prima salvato come JPEG, un testo come PDF.":
        "Attach a PDF, or a JPEG or PNG picture. Save a HEIC or a TIFF as JPEG first, a text as PDF.",
    "Aprire l'invio e controllare lo stato.": "Open the referral and look at its state.",
    "Avviarlo in un'altra finestra con «serve», poi ripetere il comando.":
        "Start it in another window with “serve”, then repeat the command.",
    "Avvisare l'ente capofila: possibile manomissione.": "Tell the lead body: possible tampering.",
    "Chiedere al coordinatore dello sportello.": "Ask the coordinator of the desk.",
    "Chiederlo a chi ha il ruolo adatto: «operators list» dice chi c'è.":
        "Ask somebody with the right role: “operators list” says who there is.",
    "Chiedere un nuovo invito alla capofila.": "Ask the lead body for a new invitation.",
    "Chiudere l'altro programma, oppure lasciarlo in funzione: i comandi lo raggiungono.":
        "Stop the other program, or leave it running: commands reach it.",
    "Controllare che il disco sia collegato e che il nome sia giusto.":
        "Check that the disk is connected and the name is right.",
    "Controllare data e ora del computer.": "Check date and time of this computer.",
    "Controllare il codice.": "Check the code.",
    "Controllare il file.": "Check the file.",
    "Controllare il nome, e in quale cartella ci si trova.": "Check the name, and which directory you are in.",
    "Controllare l'elenco degli aderenti.": "Check the list of members.",
    "Controllare l'indirizzo nella configurazione.": "Check the address in the configuration.",
    "Controllare l'indirizzo o il codice.": "Check the address or the code.",
    "Controllare l'invito ricevuto.": "Check the invitation received.",
    "Controllare l'ora del computer.": "Check the time of this computer.",
    "Controllare la rete.": "Check the network connection.",
    "Controllare quale file si è indicato.": "Check which file was given.",
    "Correggere il campo indicato.": "Correct the field named.",
    "Correggere la riga indicata.": "Correct the line named.",
    "Dividere il file.": "Split the file.",
    "Eseguire prima «init», o indicare la cartella giusta con --dir.":
        "Run “init” first, or name the right directory with --dir.",
    "Generare una chiave nuova.": "Make a new key.",
    "I garanti devono firmarne una nuova.": "The guarantors have to sign a new one.",
    "Indicare la base giuridica.": "Give the legal basis.",
    "Inviare il contenuto non compresso.": "Send the content uncompressed.",
    "Lasciare la scelta alla persona.": "Leave the choice to the person.",
    "Liberare spazio, poi riprovare.": "Free some space, then try again.",
    "Non serve fare nulla: il programma riprova da solo.": "Nothing: the program tries again by itself.",
    "Partire dal modello: «raccordo-node import --template».":
        "Start from the template: “raccordo-node import --template”.",
    "Raccogliere le firme mancanti.": "Collect the missing signatures.",
    "Regolare data e ora del computer, poi riprovare.": "Set date and time of this computer, then try again.",
    "Restringere i permessi: chmod 600 sul file indicato.": "Restrict the permissions: chmod 600 on the file named.",
    "Restringere i permessi: chmod 700 sulla cartella indicata.":
        "Restrict the permissions: chmod 700 on the directory named.",
    "Ridurre il contenuto e riprovare.": "Make the content smaller and try again.",
    "Ridurre le voci.": "Reduce the entries.",
    "Ripristinare dall'ultima copia.": "Restore from the last backup.",
    "Ripristinare il collegamento con la bacheca d'Ambito.": "Restore the connection with the registry.",
    "Ripristinarlo dall'ultima copia.": "Restore it from the last backup.",
    "Ripristinarlo dalla copia, o eseguire «init» se è un'installazione nuova.":
        "Restore it from the backup, or run “init” on a new installation.",
    "Riprovare con la frase segreta giusta.": "Try again with the right passphrase.",
    "Riprovare più tardi: il limite è giornaliero.": "Try again later: the limit is for a day.",
    "Salvare il foglio come .xlsx o .csv e riprovare.": "Save the sheet as .xlsx or .csv and try again.",
    "Guardare l'elenco con «erasures».": "Look at the list: “erasures”.",
    "Rispondere alla persona che il diritto alla cancellazione non si applica ancora, e fino a quando; se i dati sono"
    " contestati, usare «limit».":
        "Answer the person that the right to erasure does not apply yet, and until when; if the data are contested,"
        " use “limit”.",
    "Rivolgersi al responsabile del servizio: la limitazione si toglie con «limit --lift», dopo averlo detto alla"
    " persona.":
        "Turn to the head of the service: the limitation is lifted with “limit --lift”, after telling the person.",
    "Se serve ancora, ripartire dalla persona con un invio nuovo.":
        "If it is still needed, begin with the person and a new referral.",
    "Scegliere fra quelli indicati.": "Choose among those named.",
    "Scegliere un altro nome, o spostare quello presente.": "Choose another name, or move the one that is there.",
    "Scegliere un altro ufficio dalla mappa.": "Choose another office from the map.",
    "Scegliere un ufficio abilitato.": "Choose an office that is enabled.",
    "Scegliere un altro ufficio.": "Choose another office.",
    "Indicare l'altro ufficio con «redirect»: conferma chi ha inviato.": (
        "Name the other office with «redirect»: the sender confirms."
    ),
    "Prima accoglierlo con «accept».": "Accept it first, with «accept».",
    "Attendere che l'altro ufficio finisca, o ritirare l'inoltro; poi inoltrare ad altri o lasciare l'invio.": (
        "Wait until the other office has finished, or cancel what was forwarded; then forward to another or release."
    ),
    "Lasciare l'invio, con il motivo: chi ha inviato sceglie un'altra strada.": (
        "Release the referral, with the reason: the sender chooses another way."
    ),
    "Sceglierne un altro.": "Choose another one.",
    "Segnalarlo a chi gestisce la rete, con il codice.": "Report it to whoever runs the network, with the code.",
    "Sentire l'ente capofila.": "Ask the lead body.",
    "Serve il foglio originale, non una foto o una scansione.":
        "The original sheet is needed, not a photograph or a scan.",
    "Telefonare all'altro ufficio.": "Telephone the other office.",
    "Togliere codice o caratteri invisibili.": "Remove markup or invisible characters.",
    "Togliere i dati della persona.": "Remove the person's data.",
    "Togliere il dato dalla voce.": "Remove the datum from the entry.",
    "Togliere indirizzo, comune e coordinate.": "Remove address, comune and coordinates.",
    "Togliere la voce e inserirla di nuovo.": "Remove the entry and enter it again.",
    "Usare il passaggio interno tra sportelli.": "Use the hand-over between desks.",
    "Usare l'installazione che c'è, o indicare un'altra cartella con --dir.":
        "Use the installation that is there, or name another directory with --dir.",
    "Usare la chiave di un garante di questa rete, oppure controllare di quale rete è il file.":
        "Use a key of a guarantor of this network, or check which network the file is of.",
    "Usare lettere minuscole, cifre e trattini.": "Use lower-case letters, digits and hyphens.",
    "Usare un altro passaggio o reindirizzare.": "Use another step, or redirect.",
    "Usare una cartella propria (--dir), o chiedere il permesso a chi gestisce il computer.":
        "Use a directory of your own (--dir), or ask whoever runs this computer.",
    "Verificare il collegamento con la bacheca d'Ambito.": "Check the connection with the registry.",
    # -- said on the way, and by doctor
    "Avvio di {node}: resta in funzione finché non si preme Ctrl-C.": "Starting {node}: it runs until Ctrl-C.",
    "Chiedo di entrare nella rete «{name}»…": "Asking to join the network “{name}”…",
    "Leggo {file}…": "Reading {file}…",
    "Scritto {path}: riempirlo e importarlo.": "Written {path}: fill it in and import it.",
    "Voci della mappa": "Entries of the map",
    "Solo per gli enti della rete.": "For members of the network only.",
    "RETE PILOTA: la radice è di una persona sola, nessun garante l'ha firmata.":
        "PILOT NETWORK: the root is one person's, no guarantor has signed it.",
    "I dati sono su un disco di rete ({kind}).": "The data lie on a network disk ({kind}).",
    "I dati sono su un disco locale.": "The data lie on a local disk.",
    "Spostare la cartella dei dati su un disco di questo computer, poi indicarla con --dir.":
        "Move the data directory to a disk of this computer, then name it with --dir.",
    "La cartella dei dati è chiusa agli altri utenti.": "The data directory is closed to other users.",
    "I file riservati sono leggibili solo da chi esegue il programma.":
        "Only who runs the program can read the secret files.",
    "In funzione (processo {pid}).": "Running (process {pid}).",
    "In uso dal programma in funzione, che lo controlla a ogni scrittura.":
        "In use by the running program, which checks it at every write.",
    "L'archivio conferma solo ciò che è sul disco.": "The store confirms only what is on disk.",
    "L'archivio è integro.": "The store is whole.",
    "Le chiavi ci sono. Chi copia questo computer copia anche le chiavi: conservare la copia al sicuro.":
        "The keys are there. Who copies this computer copies the keys too: keep the copy safe.",
    "Nessuno ha risposto: l'ora non è confrontabile.": "Nobody answered: the time cannot be compared.",
    "Scarto dell'orologio: {seconds} s": "Clock offset: {seconds} s",
    "Spazio libero: {mib} MiB": "Free space: {mib} MiB",
    "Non fidarsi di questa voce: chiedere la prova a un altro ente.":
        "Do not trust this entry: ask another member for the proof.",
    "Chiedere di nuovo la prova intera.": "Ask for the whole proof again.",
    "Non fidarsi di questa voce: telefonare all'ente.": "Do not trust this entry: telephone the body.",
    "Chiedere la prova della voce che serve.": "Ask for the proof of the entry that is meant.",
    "Cercare la voce nella mappa di oggi.": "Look the entry up in today's map.",
    "La bacheca d'Ambito ha raccontato finora una storia sola.": "The board has told one story so far.",
    "La bacheca d'Ambito si è contraddetta: {count} volte.": "The board has contradicted itself: {count} times.",
    "Avvisare i garanti; le firme sono conservate: «heads», «heads --export».":
        "Tell the guarantors; the signatures are kept: “heads”, “heads --export”.",
    "Leggere che cosa ha detto, chiudere altri programmi pesanti e riprovare.":
        "Read what it said, close other heavy programs and try again.",
    # -- doctor: programs, ports, the way out
    "Raccordo {version}, Python {python}, SQLite {sqlite}.": "Raccordo {version}, Python {python}, SQLite {sqlite}.",
    "Serve SQLite 3.37 o successivo: usare un Python più recente.":
        "SQLite 3.37 or later is needed: use a newer Python.",
    "Quello in funzione è ancora il {version}.": "What is running is still {version}.",
    "Fermarlo e riavviarlo.": "Stop it and start it again.",
    "Il programma non risponde a {where}.": "The program does not answer at {where}.",
    "Riavviarlo, e guardare i suoi messaggi.": "Restart it, and look at its messages.",
    "Il programma risponde alle sue porte.": "The program answers at its ports.",
    "Le porte da usare sono libere.": "The ports to be used are free.",
    "{where} è già di un altro programma.": "{where} is another program's already.",
    "Chiudere l'altro programma, o scegliere un'altra porta nella configurazione.":
        "Stop the other program, or choose another port in the configuration.",
    "{where}: il sistema non permette questa porta.": "{where}: the system does not permit this port.",
    "Usare una porta sopra 1023, e davanti un proxy inverso.": "Use a port above 1023, with a reverse proxy in front.",
    "{where} non è un indirizzo di questo computer.": "{where} is no address of this computer.",
    "Correggere http.listen_host nella configurazione.": "Correct http.listen_host in the configuration.",
    "Si esce senza proxy.": "Calls go out without a proxy.",
    "Il proxy configurato risponde.": "The configured proxy answers.",
    "Il proxy configurato non risponde.": "The configured proxy does not answer.",
    "Chiedere indirizzo e porta a chi gestisce la rete dell'ente, poi correggere http.proxy.":
        "Ask whoever runs the office network for address and port, then correct http.proxy.",
    "Valgono le autorità di certificazione del sistema.": "The system's certificate authorities are believed.",
    "Il file delle autorità (http.ca_file) non si legge.": "The file of authorities (http.ca_file) cannot be read.",
    "I certificati del file delle autorità sono scaduti.": "The certificates in the file of authorities have expired.",
    "Valgono solo le autorità del file configurato ({count}).":
        "Only the authorities of the configured file hold ({count}).",
    "Chiedere il file aggiornato, in formato PEM, a chi gestisce la rete dell'ente.":
        "Ask whoever runs the office network for the current file, in PEM format.",
    "{url}: {why}": "{url}: {why}",
    "{url}: risponde.": "{url}: it answers.",
    "{url}: risponde; il suo certificato vale ancora {days} giorni.":
        "{url}: it answers; its certificate holds for {days} more days.",
    "è un indirizzo interno, o non è https: non si chiama.": "an internal address, or not https: it is not called.",
    "il nome non si trova.": "the name is not found.",
    "là non c'è nessun programma in ascolto.": "no program listens there.",
    "il suo certificato non è di un'autorità conosciuta, o è di un altro nome.":
        "its certificate is of no known authority, or of another name.",
    "il suo certificato è scaduto.": "its certificate has expired.",
    "il proxy non lascia passare.": "the proxy does not let it pass.",
    "il proxy chiede una password.": "the proxy asks for a password.",
    "risponde qualcosa che non è Raccordo.": "something answers that is not Raccordo.",
    "non risponde.": "it does not answer.",
    "Chiedere a chi gestisce la rete dell'ente: l'indirizzo dev'essere permesso, la password in http.proxy.":
        "Ask whoever runs the office network: the address has to be allowed, the password stands in http.proxy.",
    "Se l'ente ispeziona il traffico indicare la sua autorità in http.ca_file; se no avvisare la capofila.":
        "If the body inspects its traffic, name its authority in http.ca_file; if not, tell the lead body.",
    "Correggere l'indirizzo: è nell'elenco della rete, o nella configurazione.":
        "Correct the address: it stands in the network's list, or in the configuration.",
    "Da dentro può non vedersi: provare da fuori, poi guardare il proxy inverso e il router.":
        "It may not be visible from inside: try from outside, then look at the reverse proxy and the router.",
    "Controllare la rete. Intanto si lavora: la posta aspetta e parte da sola.":
        "Check the network connection. Work goes on meanwhile: post waits and leaves by itself.",
    "Rinnovarlo adesso nel proxy inverso.": "Renew it now in the reverse proxy.",
    "Avvisare chi gestisce quel computer.": "Tell whoever runs that computer.",
    # -- doctor: what ages
    "L'elenco degli aderenti vale ancora {days} giorni.": "The list of members holds for {days} more days.",
    "L'elenco degli aderenti è scaduto da {days} giorni.": "The list of members expired {days} days ago.",
    "Controllare che la bacheca risponda; se no, telefonare alla capofila.":
        "Check that the board answers; if not, telephone the lead body.",
    "La chiave più vecchia in uso ha {days} giorni.": "The oldest key in use is {days} days old.",
    "Cambiarla: quella di posta ogni 90 giorni, quella di firma ogni anno. Vedi «keys».":
        "Change it: the one for post every 90 days, the one for signing every year. See “keys”.",
    "Nulla aspetta di partire.": "Nothing waits to leave.",
    "Aspettano di partire: {count}, il più vecchio da {hours} ore.":
        "Waiting to leave: {count}, the oldest for {hours} hours.",
    "Guardare con «sent» a chi, e telefonare a quell'ufficio.": "See to whom with “sent”, and telephone that office.",
    "La richiesta di entrare nella rete aspetta i garanti.": "The request to join waits for the guarantors.",
    "Leggere al telefono alla capofila le otto parole di «keys».":
        "Read the eight words of “keys” to the lead body over the telephone.",
    "Non è ancora nella rete.": "Not in the network yet.",
    "Chiedere l'invito alla capofila, poi «join INVITO».":
        "Ask the lead body for the invitation, then “join INVITATION”.",
    "Tiene caselle per altri, ma la rete non lo elenca.":
        "It keeps mailboxes for others, but the network does not list it.",
    "Chiedere alla capofila di aggiungerlo alle caselle, o togliere «relay».":
        "Ask the lead body to add it to the mailboxes, or remove “relay”.",
    "Nelle caselle tenute per altri non aspetta nulla.": "Nothing waits in the mailboxes kept for others.",
    "Nelle caselle tenute per altri: {count}, il più vecchio da {days} giorni.":
        "In the mailboxes kept for others: {count}, the oldest for {days} days.",
    "Qualcuno non ritira la posta: avvisare la capofila.": "Somebody does not fetch their post: tell the lead body.",
    # -- copies
    "; provata {days} giorni fa.": "; opened {days} days ago.",
    "C'è ancora ciò che un ripristino ha messo da parte: {path}": "What a restore put aside is still there: {path}",
    "Quando tutto va, toglierlo: contiene anche ciò che è cancellato.":
        "Remove it once all is well: it also holds what was erased.",
    "Chiedere a un ente il file di «raccordo-node seen», poi «raccordo-registry restore --seen FILE».":
        "Ask a member for the file of “raccordo-node seen”, then “raccordo-registry restore --seen FILE”.",
    "Collegare il disco delle copie, o correggere la cartella nella configurazione.":
        "Connect the disk of the copies, or correct the directory in the configuration.",
    "Controllare quale copia e quale cartella si sono indicate.": "Check which copy and which directory were given.",
    "Farne una adesso: «backup».": "Make one now: “backup”.",
    "Indicare cartella e frase segreta: opzioni del comando, o sezione [backup] della configurazione.":
        "Give a directory and a passphrase: options of the command, or [backup] in the configuration.",
    "L'ultima copia non è riuscita: {why}": "The last copy failed: {why}",
    "Nessun ente da sentire dopo un ripristino.": "No member to hear from after a restore.",
    "Non c'è ancora nessuna copia di sicurezza.": "There is no backup yet.",
    "Provare che si apra: «backup verify FILE».": "Try to open it: “backup verify FILE”.",
    "Scegliere un'altra cartella, o aggiungere --replace: quello che c'è viene messo da parte.":
        "Choose another directory, or add --replace: what is there is put aside.",
    "Si chiede da sé: di solito bastano pochi minuti. Se l'ufficio non risponde, telefonare, poi "
    "«raccordo-node restore --confirm-peer ENTE».":
        "It is asked by itself: a few minutes are usually enough. If that member does not answer, telephone, then "
        "“raccordo-node restore --confirm-peer MEMBER”.",
    "Telefonare, poi «restore --confirm-peer ENTE --as CODICE».":
        "Telephone, then “restore --confirm-peer MEMBER --as CODE”.",
    "Tornato da una copia; enti da sentire: {nodes}": "Restored from a copy; members to hear from: {nodes}",
    "Ultima copia: {hours} ore fa, in {path}": "Last copy: {hours} hours ago, in {path}",
    "Usare un'altra copia.": "Use another copy.",
    # -- keys, leaving
    "Cercare il file giusto, oppure chiedere ai garanti: «keys recover --request FILE».":
        "Look for the right file, or ask the guarantors: “keys recover --request FILE”.",
    "Chiave d'emergenza depositata; le altre si rinnovano da sole.":
        "An emergency key is deposited; the others renew themselves.",
    "Chiavi nuove da confermare al telefono: {nodes}": "New keys to confirm by telephone: {nodes}",
    "Chiedere ai garanti: «keys recover --request FILE».": "Ask the guarantors: “keys recover --request FILE”.",
    "Concluderli prima, oppure «leave --anyway».": "End them first, or “leave --anyway”.",
    "Nessuna chiave d'emergenza depositata: se le chiavi si perdono servono più garanti.":
        "No emergency key is deposited: if the keys are lost it takes several guarantors.",
    "Nessuna chiave di altri uffici da confermare.": "No keys of other offices to confirm.",
    "Non ancora nella rete.": "Not in the network yet.",
    "Rileggerle al telefono; se non tornano, non confermare e avvisare l'ente capofila.":
        "Read them again on the telephone; if they do not match, do not confirm, and tell the lead body.",
    "Telefonare, poi «keys confirm»; finché non è fatto a loro non parte nulla.":
        "Telephone, then “keys confirm”; until then nothing leaves for them.",
    "Telefonargli a un numero che si conosce, confrontare le otto parole, poi «keys confirm».":
        "Telephone them at a number you know, compare the eight words, then “keys confirm”.",
    "Vedere l'elenco con «keys».": "See the list with “keys”.",
    "«keys emergency», poi la capofila con «amend --emergency».":
        "“keys emergency”, then the lead body with “amend --emergency”.",
    # -- slips and sheets
    "Dare alla persona il foglio con orari e recapiti: «slip».":
        "Give the person the slip with hours and telephone: “slip”.",
    "Rispondere se l'ufficio lo chiede, o telefonare. Un dato sbagliato si corregge con «rectify».":
        "Answer if the office asks, or telephone. Wrong data are put right with “rectify”.",
    "Scrivere --subject group, oppure none; oppure indicare la persona invece del gruppo.":
        "Write --subject group, or none; or name the person instead of the group.",
    "Ricontrollare sul foglio la riga indicata e le due lettere fra parentesi.":
        "Check the line named against the sheet, and its two letters in brackets.",
    "Aggiornare il programma, oppure ricopiare i dati su un foglio stampato da «form».":
        "Update the program, or copy the data onto a sheet printed by “form”.",
    "Scegliere un altro ufficio con «route», o sentire il coordinatore d'Ambito.":
        "Choose another office with “route”, or ask the coordinator of the Ambito.",
    "MODULO DI INVIO": "REFERRAL FORM",
    "Per ricopiarlo, numero, valore e lettere fra parentesi di ogni riga: rekey CODICE":
        "To type it in, number, value and letters in brackets of each line: rekey CODE",
    "Serve.": "This one is needed.",
}  # fmt: skip
