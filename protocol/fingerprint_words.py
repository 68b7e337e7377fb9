"""The 1,024 words of fingerprints, in alphabetical order: word i stands for ten bits of value i. Data only.

Common Italian words of 4 to 9 letters without accents, chosen for the telephone: the first four letters tell any two
apart, and no two differ by a single letter. The list never changes: another list would be another fingerprint version.
"""

from typing import Final

WORDS: Final = tuple(
    """
    abaco abbraccio abete abito accento acciaio aceto acqua acrobata adagio adulto aereo affetto affresco agave
    agenda agile aglio agosto agrumi airone aiuola albero albicocca album alfabeto alga aliante allegro alloro
    alpino altalena altezza altopiano alunno alveare alzata amaca amaro ambiente ambra amido ampolla amuleto ananas
    anatra ancora anello angolo anguria anima antenna antico aperto apice approdo appunto aprile aquila arachide
    arancia arazzo archivio arco ardesia arduo arena argano argento argilla arguto ariete armadio armonia arnese
    arnica aroma arpa arredo arrivo arrosto arte artista asciutto ascolto asfalto asilo asparago aspetto asse assolo
    atlante atleta atomo attesa attimo attore audace aurora autunno avanzo avorio avviso azalea azione azzurro bacca
    bacheca baffi bagaglio baia balcone ballo balsamo bambino banana banco bandiera baraonda barba barile barone
    basalto basilico basso bastone baule bazar beato begonia bellezza benessere benzina betulla biada bicchiere bici
    bietola bilico bimbo binario biologo biondo birillo biscotto bisonte bivio bizzarro bolide bolla bonsai bordo
    borea bosco botanica botte brezza briciola brocca brodo bronzo bruco buccia budino bufalo buio bulbo bullone
    buono burro bussola busta cabina cacao caduta calamita calma calore cambio camera camino campana candela
    canestro cannella canto canzone capo cappello caraffa carbone carciofo cardo carta cascata casella castagna
    catena cattedra cavallo cedro cenere centro ceppo ceramica cerchio cereale cerino cerotto cervo cespuglio cetra
    chicco chiodo chitarra ciambella cibo cicala cicogna ciglia cigno ciliegia cinema cintura cipolla circo citofono
    civetta classe clima cobalto coccio coda cofano colazione coltello cometa comico commedia comodo compasso
    concime condor confetto coniglio coperta coppa corallo cornice coro corteccia cotone cratere cravatta credenza
    creta cristallo crosta cubetto cucchiaio cucina cuffia culla cuneo cuore cupola curioso curva cuscino custode
    dama danza dattero davanzale decimo dedica delfino delta deposito diadema dialogo diario dicembre digiuno dinamo
    dipinto diploma diritto disco divano docile dodici dolce domanda domino dono dorato dorso dramma duetto duna
    duomo durata edera edicola edificio elefante elmo energia enigma entrata epoca equatore erba erede erica eroe
    esame esempio esercizio esito esordio esperto estate esterno estro etichetta ettaro evento fabbro fagiolo falda
    falegname fanale farfalla farina faro fascia fata fatica fattoria favola febbraio felce feltro ferro festa fiaba
    fiamma fianco fidato fieno fiera figura filanda filo fiocco fiore fischio fiume flauto flora flotta foca foglia
    fonderia fontana forbice foresta fornaio forte fossile foto fragola frase frazione freddo fresco frigo fronda
    frullato frutta fune fungo fuoco furgone futuro gabbiano galassia galleria garofano gatto gelato gelso gemello
    gennaio gente geranio gettone ghepardo ghiaccio ghiro giacca giallo giardino gigante ginocchio gioco gioia
    giornale giostra giovane giraffa girino gita giugno giusto glicine globo gloria gnocco goccia golfo goloso
    gomito gomma gondola gradino grafico grammo grappolo grazia gregge grembo grigio grillo gruccia gruppo guado
    guanto guardia gufo guida idea idioma idrante igloo imbuto immagine impasto incanto incenso inchino incontro
    indaco indice indovino infanzia ingegno inizio innesto inno insalata insegna intarsio intero intreccio inverno
    invito ipotesi iride ironia isola istante istinto istrice laguna lamiera lampada lana lanterna largo lastra
    latte lauro lavagna lavoro legame leggero legno leone lepre lesto lettera leva lezione libeccio licenza lieve
    limite limone limpido lince linea lingua lino lira lista litro liuto livello locale lotto lucciola luce luglio
    lumaca lupo macchina macina maestro maglia magnete malva mandorla mango manico mantello marea margine marmo
    marrone maschera matassa materia matita mattino mazzo meccanico medaglia medusa mela melodia menta mercato
    meringa merlo messaggio mestiere metallo meteora metro milione mimosa minestra minuto miraggio mirto misura
    mobile modello molo momento moneta montagna mora morbido mosaico mosca mosto motivo motore mulino murale muschio
    museo musica nacchere narciso nastro natura nebbia negozio nespola nettare neve nibbio nicchia nido nocciola
    nome nord norma nota notizia novanta novella nozze nucleo numero nuvola oasi occhio oceano ocra officina olfatto
    olio oliva onda onesto onice onore opera opposto orafo orbita orchidea ordine orecchio orefice origano orizzonte
    orlo ornato orologio ortica ostrica ottanta ottobre ovale ovest ozono padella paese pagina palazzo palco
    palestra panca pane panno pantera papavero papera parente parola partita passero pasta patata pavone pedale
    pendio pensiero pepe perla pesca petalo pettine piatto piazza piccolo piede pietra pigiama pilastro pilota
    pineta pinguino pinza pioggia piombo pioppo piscina pittore piuma piuolo plancia plastica platano podio poesia
    polenta polline polpo poltrona polvere pomodoro pompelmo ponte popolo porta potatura pozzo pranzo prato premio
    prima problema profumo progetto promessa prudente prugna pugile pulcino pulito punto purea quadro quaglia quarzo
    quattro quercia quesito quiete quindici rabarbaro radice raduno ragno ramo rapa rasoio rastrello ravanello rebus
    recinto regalo renna replica resina respiro rete rettile ribes ricamo ricordo riga righello rilievo rimedio
    rinforzo ripido riposo riquadro risaia riserva riso ristoro ritmo ritorno rivista romanzo rombo rondine ronzio
    roseto rosso rotaia rotella rotondo rovere rubino rucola ruggine rugiada rullo ruota rustico sabato sabbia sacco
    saggio sale salice salmone salotto salsa salute salvia sambuco sandalo sardina sarto satellite savana scaffale
    scarpa scatola scena scheda schiuma sciame scienza scintilla scivolo scodella scogliera scrigno scuola sdraio
    secolo sedia segnale selva seme semola senape sentiero sereno sesamo seta settimana sfera sfinge sfondo sforzo
    sguardo sicuro siepe silenzio sillaba simbolo simpatia sinfonia singolo sipario sirena slancio slitta smalto
    smeraldo soave sobrio soffio soggetto solaio solido sollievo sonata sonno sorgente sorriso sosta sottile spago
    spalla spazio specchio spiaggia spiga spinaci spirale sponda sposa spugna spuma squadra stagno stampa stanza
    stazione stella sterzo stile stima stivale stoffa storia strada stretto strofa studio stufa stupore suggerito
    sugo suolo superbo susina sveglia svelto svolta tabella tacchino talento talpa tamburo tandem tappeto targa
    tarlo tartaruga tasca tassello tasto taverna tavolo teatro tecnica tegola telaio telefono tema tempo tenda
    teoria tepore terme terra tesoro tessera tetto tiglio tigre timbro tinello tinta tipico tirante titolo tondo
    topazio topo torneo torre tostato totale tovaglia tram tratto treccia tregua treno triangolo trifoglio trina
    trionfo tritone trofeo tromba tuffo tulipano tundra tunica turbine turchese turno tuta tutore udito uguale
    ultimo umano umore uncino undici unghia unione uovo upupa urbano urna usanza usignolo utensile vagone valigia
    valvola valzer vaniglia vapore vascello vaso vassoio veliero velluto vena veranda verde vernice verso vespa
    veste vetrina vettore viaggio viale vicino vicolo video vigna villa vimini virgola visciola visita vite viuzza
    vivace voce volano volpe volume vuoto zafferano zaino zampa zanzara zattera zebra zefiro zenit zenzero zero
    zinco zircone zodiaco zona zucca zufolo zuppa
    """.split()  # noqa: SIM905 a thousand quoted literals would hide the words
)
