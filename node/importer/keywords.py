"""Which words of a service lead to which codes: tables only, read top to bottom. The codes are those of schemas/vocab.

Patterns match folded text (lower case, no accents, marks as blanks) at the beginning of a word.
"""

from typing import Final, NamedTuple

from schemas.records import Code


class Hint(NamedTuple):
    """`words`: alternatives; a category and the needs that they mean."""

    words: str
    category: Code
    needs: tuple[Code, ...]


SERVICES: Final[list[Hint]] = [
    Hint(r"segretariato|ups\b|sportello sociale|sportello di cittadinanza|punto informativo"
         r"|(?:centro|sportello|punto|spazio|servizio)(?: di| d)? ascolto|sportello informativo"
         r"|urp\b|ufficio servizi sociali|servizi sociali\b", "SC-SEGR", ("NA-INFO",)),
    Hint(r"servizio sociale\b|assistent[ei] social[ei]|presa in carico|ufficio servizi sociali|servizi sociali\b",
         "SC-SSP", ("NA-INFO",)),
    Hint(r"pua\b|punto unico|porta unica|p u a\b", "SC-PUA", ("NA-SALUTE", "NA-DOMIC")),
    Hint(r"pronto intervento|pis\b|emergenz[ae] social|centrale operativa"
         r"|unita (?:mobile )?di strada|unita mobile", "SC-PIS", ("NA-EMERG",)),
    Hint(r"pension[ei]|previdenz|patronat|inps\b|inail\b|naspi\b|disoccupazione|maternita autonom|infortun", "SC-PATR",
         ("NA-PREVID",)),
    Hint(r"invalidita|indennita di accompagnamento|l(?:egge)? ?104", "SC-PATR", ("NA-INVAL",)),
    Hint(r"caf\b|isee\b|dsu\b|730\b|assistenza fiscale|dichiarazion[ei] dei redditi", "SC-CAF", ("NA-ECON",)),
    Hint(r"sindacat|vertenz", "SC-LAVDIR", ("NA-LAVORO",)),
    Hint(r"legal[ei]\b|avvocat|amministrator[ei] di sostegno|ads\b|tutela giuridica", "SC-LEGALE", ("NA-TUTELA",)),
    Hint(r"contribut[oi] economic|assistenza economica|sussid|sostegno al reddito|bollett|aiut[oi] economic"
         r"|assegno di inclusione|adi inps", "SC-ECON", ("NA-ECON",)),
    Hint(r"buon[oi] spesa|emporio|pacc(?:o|hi) (?:alimentar|viveri)|banco alimentare|viveri|distribuzione alimentar"
         r"|spesa solidale|dispensa solidale", "SC-BUONI", ("NA-ALIM",)),
    Hint(r"mensa\b(?! scolastic)|mense\b(?! scolastic)", "SC-MENSA", ("NA-ALIM",)),
    Hint(r"docc[ei]a?\b|guardaroba|accoglienza diurna|vestiario|vestiti\b|indumenti|lavanderia", "SC-ACCDIU",
         ("NA-ALIM",)),
    Hint(r"accoglienza notturna|dormitor|piano freddo|asilo notturno|riparo notturno", "SC-DORM", ("NA-CASA",)),
    Hint(r"allogg[io]\w* (?:temporane|di emergenza)|housing|pronta accoglienza", "SC-ALLOG", ("NA-CASA",)),
    Hint(r"sportello casa|contributo affitto|affitt[oi]\b|erp\b|cas[ae] popolar|sfratt|morosita|edilizia residenziale"
         r"|emergenza abitativa", "SC-ABIT", ("NA-CASA",)),
    Hint(r"adi\b|assistenza domiciliare integrata|cure domiciliari|infermier\w+ a (?:casa|domicilio)", "SC-ADI",
         ("NA-DOMIC", "NA-SALUTE")),
    Hint(r"sad\b|s a d\b|assistenza domiciliare(?! integrata)|aiuto domestico|home care", "SC-SAD", ("NA-DOMIC",)),
    Hint(r"past[oi] (?:caldi? )?a (?:domicilio|casa)", "SC-PASTI", ("NA-DOMIC",)),
    Hint(r"telesoccorso|teleassistenza", "SC-TELES", ("NA-DOMIC",)),
    Hint(r"trasport[oi]|accompagnamento (?:a )?visite|taxi sociale|scuolabus", "SC-TRASP", ("NA-TRASP",)),
    Hint(r"assegno di cura|caregiver|badant|assistenti familiari", "SC-DOMEC", ("NA-DOMIC",)),
    Hint(r"centr[oi] diurn[oi]|centro socio educativo|cdr\b", "SC-CDIU", ("NA-RESID",)),
    Hint(r"casa di riposo|rsa\b|residenza protetta|comunita alloggio|struttura residenziale|casa protetta", "SC-RESID",
         ("NA-RESID",)),
    Hint(r"centro sociale|centro anziani|circolo\b|centro di aggregazione|spazio aggregativo", "SC-CSOC",
         ("NA-SOLIT",)),
    Hint(r"antiviolenza|cas[ae] rifugio|cav\b|violenza|sportello donna", "SC-DONNA", ("NA-VIOL",)),
    Hint(r"consultorio|spazio mamma|gravidanza|neomamm", "SC-MATINF", ("NA-FAMIG", "NA-SALUTE")),
    Hint(r"asil[oi] nid[oi]|nid[oi]\b|micronido|prima infanzia", "SC-NIDO", ("NA-PRIMAINF",)),
    Hint(r"mediazione familiare|genitorialita|centro (?:per le )?famigli[ae]|sostegno alle famiglie", "SC-FAM",
         ("NA-FAMIG",)),
    Hint(r"minori\b|doposcuola|centr[oi] giovan|informagiovani|educativa domiciliare|oratorio|ludoteca", "SC-MIN",
         ("NA-MINOR",)),
    Hint(r"adozion|affid[io]\b|affido", "SC-ADOAFF", ("NA-MINOR", "NA-FAMIG")),
    Hint(r"disabil|umea\b|handicap", "SC-DISAB", ("NA-DISAB",)),
    Hint(r"rom\b|sinti\b|caminanti", "SC-RSC", ("NA-STRAN",)),
    Hint(r"immigrat|stranier|migrant|permess[oi] di soggiorno|profug|rifugiat|richiedenti asilo|sai\b"
         r"|mediazione (?:linguistic|cultural|intercultural)", "SC-PROF", ("NA-STRAN",)),
    Hint(r"dipendenz|sert\b|ser d\b|stdp\b|alcol|ludopati|gioco d azzardo", "SC-DIPEND", ("NA-DIPEND",)),
    Hint(r"salute mentale|csm\b|psicolog|psichiatr|auto (?:mutuo )?aiuto|mutuo aiuto", "SC-PSICH", ("NA-SALMENT",)),
    Hint(r"prelievi|punto salute|ambulator|urp sanitario|ausili\b|poliambulatorio|fisioterapi|medic[oi] di base",
         "SC-SANIT", ("NA-SALUTE",)),
    Hint(r"tirocin|bors[ae] lavoro|inserimento (?:sociale|lavorativo)", "SC-INSER", ("NA-LAVORO",)),
    Hint(r"sportello lavoro|ricerca (?:del )?lavoro|orientamento (?:professionale|al lavoro)|cpi\b"
         r"|centro (?:per l )?impiego|curriculum",
         "SC-LAVORO", ("NA-LAVORO",)),
    Hint(r"cors[oi] di|scuola di italiano|italiano l2|alfabetizzazione|formazione professionale|mensa scolastica"
         r"|trasporto scolastico|diritto allo studio|aiuto compiti", "SC-FORM", ("NA-ISTRUZ",)),
    Hint(r"italiano l2|cors[oi] di italiano|scuola di italiano", "SC-FORM", ("NA-STRAN",)),
    Hint(r"bibliotec|servizi culturali|museo", "SC-CULT", ("NA-CULTURA",)),
    Hint(r"palestra|soggiorn[oi] (?:estiv|marin|montan)|ginnastica|attivita motoria|ricreativ|sportiv|colonia estiva",
         "SC-SPORT", ("NA-CULTURA",)),
    Hint(r"telefon(?:ata|o) amic[oa]|banca del tempo|compagnia|volontariato", "SC-PROMO", ("NA-SOLIT",)),
    Hint(r"bonus (?:luce|gas|idrico|acqua)|tari\b|agevolazion[ei] (?:tariff|tribut)|esenzione tari", "SC-COSTOSERV",
         ("NA-ECON",)),
]  # fmt: skip

TARGETS: Final[list[tuple[str, Code]]] = [
    (r"tutt[ie]\b(?! i minori)|chiunque|cittadin[io]\b(?! stranier)|cittadinanza|popolazione|residenti\b", "TG-TUTTI"),
    (r"famigli[ae]\b|nucle[oi]|coppi[ae]|genitori", "TG-FAMIGLIA"),
    (r"minor[ie]\b|bambin|alunn|infanzia|figli\b|studenti", "TG-MINORI"),
    (r"3 36 mesi|0 3 anni|0 36 mesi|prima infanzia|madri|gestanti|mamme|neonat|donne in gravidanza", "TG-PRIMAINF"),
    (r"ragazz|giovan|adolescent", "TG-ADOL"),
    (r"donn[ea]", "TG-DONNE"),
    (r"anzian|over 65|over65|65 anni|ultrasessantacinquenni|terza eta", "TG-ANZIANI"),
    (r"(?:anziani|persone|anziani soli o|soggetti)? ?non autosufficient", "TG-ANZNA"),
    (r"disabil|invalid|handicap|portator", "TG-DISAB"),
    (r"(?:con )?dipendenz|tossicodipendent|alcolist|alcoldipendent|giocatori", "TG-DIPEND"),
    (r"disagio (?:psichico|mentale)|psichiatric|malattia mentale", "TG-PSICH"),
    (r"stranier|immigrat|migrant|extracomunitari", "TG-IMMIG"),
    (r"emigrat", "TG-EMIG"),
    (r"profug|rifugiat|richiedenti asilo|titolari di protezione", "TG-PROFUGHI"),
    (r"rom\b|sinti\b|caminanti", "TG-RSC"),
    (r"isee basso|poverta|povere|poveri|indigent|bisognos|difficolta economic|disagio economico|basso reddito",
     "TG-POVERI"),
    (r"senza dimora|senza tetto|senzatetto|senza fissa dimora|homeless", "TG-SENZADIM"),
    (r"disoccupat|inoccupat|senza lavoro|cassaintegrat", "TG-DISOCC"),
    (r"detenut", "TG-DETEN"),
    (r"lavorator|artigian|autonomi\b|dipendenti\b|braccianti", "TG-LAVOR"),
    (r"pensionat", "TG-PENS"),
    (r"familiari|caregiver", "TG-CAREGIVER"),
    (r"gruppi|associazioni|enti\b|istituzioni|operatori|scuole\b", "TG-GRUPPI"),
]  # fmt: skip

ACCESSIBILITY: Final[list[tuple[str, Code]]] = [
    # the first rows win over a later AX-RAMPA of the same piece
    (r"da verificare|n d\b|nd\b|non (?:so|noto|disponibile|rilevato)|sconosciut", "AX-ND"),
    (r"non accessibil|scale\b|scala\b|con barriere|barriere presenti|^no$|non e accessibile", "AX-NO"),
    (r"parzial|gradin[oi]|un po|in parte|con aiuto", "AX-PARZ"),
    (r"montascale|servoscala", "AX-MONTASC"),
    (r"ascensore", "AX-ASCENS"),
    (r"(?:bagno|wc|servizi igienici|toilette)", "AX-WC"),
    (r"(?:parcheggio|posto auto)", "AX-PARCH"),
    (r"autobus|bus\b|fermata", "AX-BUS"),
    (r"lis\b|sordi\b", "AX-LIS"),
    (r"induzione", "AX-INDUZ"),
    (r"caa\b|facile lettura", "AX-CAA"),
    (r"mediator|mediatric", "AX-MEDIAT"),
    (r"multilingue|piu lingue", "AX-MULTIL"),
    (r"a domicilio|domicilio|a casa", "AX-DOMIC"),
    (r"telefonic|telefono", "AX-TELEF"),
    (r"stanza|colloqui riservat|privacy|riservatezza", "AX-PRIVACY"),
    (r"fasciatoio|spazio (?:giochi|bambini)", "AX-BIMBI"),
    (r"(?:mezzo|auto|camper|pulmino|furgone|veicolo)\b", ""),
    (r"rampa|senza barriere|barriere architettoniche eliminate|priv[oa] di barriere|accessibil|^si$|nessuna barriera"
     r"|senza gradini", "AX-RAMPA"),
]  # fmt: skip
UNKNOWN_ACCESS: Final = "AX-ND"

SYSTEMS: Final[dict[str, tuple[str, ...]]] = {
    "SC-PATR": ("pension",), "SC-CAF": ("pension",), "SC-PUA": ("social", "health"), "SC-ADI": ("health", "social"),
    "SC-SANIT": ("health",), "SC-PSICH": ("health",), "SC-DIPEND": ("health",), "SC-MATINF": ("health",),
}  # fmt: skip
CONTRACTED: Final = (
    r"in appalto|per conto del(?:l a|la)? (?:comune|ambito|distretto|ast)|convenzionat|in convenzione|accreditat"
    r"|affidat[oa] a"
)
NETWORK_ONLY: Final = (
    r"non pubblicare|riservat[oa] agli sportelli|solo (?:nodi|sportelli|operatori) della rete|uso interno|non divulgare"
)
URGENT: Final = r"linea urgente|pronto intervento|emergenz|urgenze"
HIDDEN_PLACE: Final = r"indirizzo segret|sede segreta|luogo segreto|indirizzo protetto|sede protetta"
# in the address itself one word is enough
HIDDEN_ADDRESS: Final = rf"{HIDDEN_PLACE}|segret[oaie]\b|top secret|nascost[oa]\b"
RESERVED: Final = (
    r"sede riservata|indirizzo riservato|indirizzo comunicato|indirizzo non pubblic|sede non pubblic|riservato\b"
    r"|non (?:si )?(?:pubblica|divulga|diffond|comunica|rivela)|da non (?:pubblica|divulga|diffond|comunica|rivela)"
)
