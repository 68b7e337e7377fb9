"""The story: DOMAIN §4, cases 1 and 2, told by the desks. Each step really happens and is verified where it arrives."""

import threading
from collections.abc import Callable
from typing import Any, Final

from deploy.demo.network import Network
from deploy.demo.processes import DemoError, until
from deploy.demo.telling import Teller
from protocol.errors import ProtocolError

PUBLIC_TASK: Final = {
    "law": "GDPR 6(1)(e), 9(2)(g)",
    "purpose": "servizi sociali del Comune",
    "notice_version": "1",
    "notice_date": "2026-01-01",
}
FRIDAY: Final = "2026-11-20 11:40"  # searches ask for what is open then: the story passes on a Sunday night


def consent(to: str) -> dict[str, str]:
    """Consent names its recipient (DOMAIN §5)."""
    return {
        "law": "GDPR 6(1)(a), 9(2)(a)",
        "purpose": "invio al servizio competente",
        "notice_version": "1",
        "notice_date": "2026-01-01",
        "consent_to": to,
        "consent_how": "signed",
    }


class Story:
    """Drives the desks through their local channels and looks at the other end after each step."""

    def __init__(self, network: Network, teller: Teller) -> None:
        self.net = network
        self.tell = teller

    # -- small verbs

    def refer(self, node: str, to: str, as_: str, linked_from: str | None = None, **offer: Any) -> str:
        request = {"to": to, "as_": as_, "offer": {"case": "", "subject": "person", **offer}}
        if linked_from:
            request["linked_from"] = linked_from
        done = self.net.ask(node, "refer", request)
        return str(done["leg"])

    def act(self, node: str, leg: str, ev: str, as_: str, **fields: Any) -> Any:
        return self.net.ask(node, "act", {"leg": leg, "ev": ev, "as_": as_, **fields})

    def line(self, node: str, leg: str) -> dict[str, Any] | None:
        """The referral as the desk's list shows it."""
        lines = self.net.ask(node, "cases", {"all_": True})
        return next((line for line in lines if line["leg"] == leg), None)

    def reaches(self, node: str, leg: str, state: str, check: Callable[[dict[str, Any]], bool] | None = None) -> Any:
        """Waits until the *other* side shows the state, and says so."""
        found = until(
            f"{self.net.name(node)}: stato «{state}»",
            lambda: (
                (line := self.line(node, leg)) is not None
                and line["state"] == state
                and (check is None or check(line))
                and line
            ),
        )
        self.tell.seen(f"Visto da {self.net.name(node)}: {found['words']}")
        return found

    # -- chapters

    def searches(self) -> None:
        """Two desks ask their own copy of the map."""
        self.tell.chapter("Due sportelli cercano, ciascuno sulla propria copia della mappa")
        self._search(
            "comune-tavullia", "ven 11:40", "Tavullia: «la zia esce dall'ospedale lunedì, non sta in piedi».",
            {"text": "cure domiciliari", "targets": ["TG-ANZNA"], "at": FRIDAY, "near": "Tavullia"}, expect="ADI",
        )  # fmt: skip
        self._route()
        self._search(
            "patr-fittizio-a", "ven 11:55", "Patronato: «ci sfrattano fra quaranta giorni, abbiamo due bambini».",
            {"text": "sfratto", "at": FRIDAY, "near": "Pesaro"}, expect="Sportello casa",
        )  # fmt: skip

    def _route(self) -> None:
        self.tell.caption("ven 11:42", "«È urgente»: il programma propone a chi inviare; decide una persona.")
        need = {
            "need": "NA-DOMIC",
            "targets": ["TG-ANZNA"],
            "residence": "Tavullia",
            "urgency": "UR-PUA24",
            "health": True,
        }
        proposals = self.net.ask("comune-tavullia", "route", need)["proposals"]
        best = proposals[0]
        self.tell.lines(
            [f"1. {best['name']} — {best['member']}: {'; '.join(reason['text'] for reason in best['reasons'])}"]
        )
        if best["node"] != "distretto":
            raise DemoError("il PUA non è la prima proposta")
        self.tell.seen("Il PUA del distretto è la prima proposta, con il suo perché.")

    def _search(self, node: str, when: str, words: str, query: dict[str, Any], expect: str) -> None:
        self.tell.caption(when, words)
        found = self.net.ask(node, "search", query)
        for hit in found["items"][:4]:
            why = "; ".join(text for _, text in hit["reasons"][:2])
            self.tell.lines([f"· {hit['name']} — {hit['member']} — {hit['opening']}", f"  {why}"])
        if not any(expect in hit["name"] for hit in found["items"]):
            raise DemoError(f"la ricerca non trova «{expect}»")
        self.tell.seen(f"«{expect}» è fra i risultati, e ogni riga dice perché.")

    def case_one(self) -> str:
        """Anziana sola, dimissione, ADI urgente via PUA."""
        self.tell.chapter("Caso 1 — Dimissione lunedì: accesso diretto al PUA")
        self.tell.caption("ven 11:46", "Tavullia telefona alla linea del PUA; «mandatela»: invia la scheda RK-PUA.")
        leg = self.refer(
            "comune-tavullia", "distretto", "TAV-01", referral="RK-PUA", urgency="UR-PUA24", need="NA-DOMIC",
            target="TG-ANZNA", basis=PUBLIC_TASK, callback="0721 000901",
            person={"family_name": "Persona di prova", "birth_year": 1941, "residence": "041065"},
            reporter={"kind": "relative", "role": "nipote", "person_informed": True},
            health={"autonomy": "non cammina da sola", "discharge_date": "2026-11-23", "prescriber": "reparto"},
            description="Dimissione lunedì; vive sola; serve ADI dal giorno del rientro.",
        )  # fmt: skip
        self.reaches("distretto", leg, "offered")
        self.tell.caption("ven 11:52", "La ricevuta firmata dal PUA è arrivata a Tavullia.")
        self.reaches("comune-tavullia", leg, "offered", lambda line: line["code"] == "RS-CONSEGNATA")
        self.tell.caption("ven 12:05", "Una persona del PUA apre la scheda e chiede una cosa in più.")
        self.act("distretto", leg, "open", "PUA-01")
        self.act("distretto", leg, "ask", "PUA-01", text="Chi può aprire la porta lunedì mattina?")
        self.reaches("comune-tavullia", leg, "asked")
        self.tell.caption("ven 12:11", "Tavullia sente la nipote e risponde.")
        self.act("comune-tavullia", leg, "answer", "TAV-01", text="La nipote, dalle 9.")
        self.reaches("distretto", leg, "opened")
        self.tell.caption(
            "ven 12:20", "Il PUA accoglie con un suo riferimento e passa il caso all'ADI, dentro lo stesso ente."
        )
        self.act("distretto", leg, "accept", "PUA-AS", ref="PUA 2026/118")
        self.reaches("comune-tavullia", leg, "accepted")
        self._hand_over(leg)
        self.tell.caption("lun 10:30", "L'assistente sociale avvia la presa in carico e chiude con l'esito.")
        self.act("distretto", leg, "start", "PUA-AS")
        self.act("distretto", leg, "close", "PUA-AS", outcome="OU-INCARICO")
        self.reaches("comune-tavullia", leg, "closed", lambda line: line["final"])
        view = self.net.ask("comune-tavullia", "case", {"leg": leg, "as_": "TAV-01"})
        if [step.get("outcome") for step in view["steps"]][-1] != "OU-INCARICO":
            raise DemoError("l'esito non è arrivato a Tavullia")
        self.tell.seen("Tavullia vede l'esito OU-INCARICO, e nient'altro del piano.")
        return leg

    def _hand_over(self, leg: str) -> None:
        inner = self.net.ask("distretto", "hand-over", {"leg": leg, "desk_to": "ADI", "as_": "PUA-AS"})["leg"]
        for ev in ("open", "accept"):
            self.act("distretto", inner, ev, "ADI-01", side="R")
        self.act("distretto", inner, "close", "ADI-01", side="R", outcome="OU-INCARICO")
        line = self.line("distretto", inner)
        if line is None or line["side"] != "L" or line["state"] != "closed" or line["parent"] != leg:
            raise DemoError("il passaggio interno non risulta")
        if self.line("comune-tavullia", inner) is not None:
            raise DemoError("il passaggio interno è uscito dall'ente")
        self.tell.seen("Passaggio PUA → ADI registrato come interno; fuori dall'ente non se ne vede traccia.")

    def case_two(self) -> str:
        """Lavoro perso, affitto arretrato, due bambini."""
        self.tell.chapter("Caso 2 — Affitto arretrato: territorio sbagliato, conferma, nuovo invio")
        self.tell.caption("ven 12:00", "Il patronato invia al Comune di Pesaro, con il consenso che lo nomina.")
        person = {
            "given_name": "Prova",
            "family_name": "Inventata",
            "birth_year": 1987,
            "household_size": 4,
            "minors": True,
        }
        leg = self.refer(
            "patr-fittizio-a", "comune-pesaro", "PAT-01", referral="RK-SEGN", urgency="UR-72", need="NA-CASA",
            target="TG-FAMIGLIA", basis=consent("comune-pesaro"), person=person, description="Sfratto fra 40 giorni.",
        )  # fmt: skip
        self.reaches("comune-pesaro", leg, "offered")
        self.tell.caption(
            "ven 12:04", "Per la spesa, un secondo invio a La Dispensa: nome e numero di persone, nessun motivo."
        )
        food = self.refer(
            "patr-fittizio-a", "ts-dispensa", "PAT-01", referral="RK-SEGN", urgency="UR-ORD", need="NA-ALIM",
            basis=consent("ts-dispensa"), person={"family_name": "Inventata", "household_size": 4},
        )  # fmt: skip
        self.reaches("ts-dispensa", food, "offered")
        seen = self.net.ask("ts-dispensa", "case", {"leg": food, "as_": "DIS-01"})["offer"]
        if "description" in seen or "Sfratto" in str(seen):
            raise DemoError("La Dispensa vede il motivo")
        self.tell.seen("La Dispensa vede nome e nucleo, non il motivo.")
        self.tell.caption("ven 12:30", "Pesaro apre: la famiglia abita a Montelabbate. Propone quel Comune.")
        self.act("comune-pesaro", leg, "open", "PES-01")
        self.act("comune-pesaro", leg, "redirect", "PES-01", reason="DR-COMPTERR", to_node="comune-montelabbate")
        self.reaches("patr-fittizio-a", leg, "redirected")
        self.tell.caption(
            "ven 12:41", "Il patronato richiama la persona: acconsente. Il consenso ora nomina Montelabbate."
        )
        self.net.nodes["comune-montelabbate"].stop()
        request = {"leg": leg, "as_": "PAT-01", "basis": consent("comune-montelabbate")}
        new = str(self.net.ask("patr-fittizio-a", "follow-redirect", request)["leg"])
        self.tell.caption(
            "ven 12:42", "A Montelabbate il computer è già spento: l'invio aspetta, sigillato, nella casella."
        )
        self.side_by_side(new)
        self.tell.caption("lun 08:00", "Lunedì mattina il computer di Montelabbate si accende.")
        self.net.nodes["comune-montelabbate"].start()
        self.reaches("comune-montelabbate", new, "offered", lambda line: line["linked_from"] == leg)
        self.tell.caption("lun 09:10", "Montelabbate accoglie, mette in lista d'attesa, poi eroga in parte.")
        self.act("comune-montelabbate", new, "open", "MON-01")
        self.act("comune-montelabbate", new, "accept", "MON-01")
        self.act("comune-montelabbate", new, "waitlist", "MON-01")
        self.reaches("patr-fittizio-a", new, "waiting")
        self.act("comune-montelabbate", new, "close", "MON-AS", outcome="OU-PARZ")
        self.reaches("patr-fittizio-a", new, "closed", lambda line: line["final"])
        return new

    def side_by_side(self, leg: str) -> None:
        """What the desk sees of one referral, and everything the registry holds about it while it waits there."""
        board = until("l'invio nella casella della bacheca", lambda: self.net.registry_post("comune-montelabbate"))
        view = self.net.ask("patr-fittizio-a", "case", {"leg": leg, "as_": "PAT-01"})
        person = view["offer"]["person"]
        desk = [
            f"a: {view['line']['peer_name']}",
            f"stato: {view['line']['words']}",
            f"tipo {view['offer']['referral']}, urgenza {view['offer']['urgency']}, bisogno {view['offer']['need']}",
            f"persona: {person['given_name']} {person['family_name']}, {person['birth_year']}",
            f"nucleo: {person['household_size']} persone, con minori",
            f"testo: {view['offer']['description']}",
            f"consenso: a {view['offer']['basis']['consent_to']}, firmato",
            f"codice dell'invio: {leg}",
        ]
        self.tell.columns(("Il patronato vede", desk), ("La bacheca ha, di questo invio, soltanto", board))
        words = [leg, person["family_name"], view["offer"]["description"]]
        if found := self.net.in_registry_files(words):
            raise DemoError(f"nei file della bacheca compare: {found}")
        self.tell.seen("Nei file della bacheca non compaiono né il nome, né il testo, né il codice dell'invio.")

    def without_registry(self) -> None:
        """The registry is off: two desks without an inbound route go on."""
        self.tell.chapter("La bacheca muore (kill -9): due sportelli dietro un router continuano")
        self.net.registry.kill()
        self.tell.caption(
            "mar 08:30",
            "La bacheca è ferma. Tavullia chiede a Montelabbate se c'è posto al doposcuola (nessun dato personale).",
        )
        found = self.net.ask("comune-tavullia", "search", {"text": "doposcuola", "near": "Tavullia"})
        if not found["items"]:
            raise DemoError("la ricerca locale non risponde a bacheca spenta")
        self.tell.seen(f"La ricerca risponde dalla copia locale: {found['items'][0]['name']}.")
        leg = self.refer(
            "comune-tavullia", "comune-montelabbate", "TAV-01", referral="RK-INFO", urgency="UR-INFO", subject="none",
            need="NA-ISTRUZ", description="C'è posto al doposcuola di lunedì?",
        )  # fmt: skip
        self.reaches("comune-montelabbate", leg, "offered")
        self.act("comune-montelabbate", leg, "open", "MON-01")
        self.act("comune-montelabbate", leg, "accept", "MON-01")
        self.act("comune-montelabbate", leg, "close", "MON-01", outcome="OU-INFO", text="Sì, due posti.")
        self.reaches("comune-tavullia", leg, "closed")
        self.tell.seen("È passato per la casella tenuta dal distretto; la bacheca era spenta.")
        self.net.registry.start()

    def killed_in_delivery(self, burst: int = 120) -> None:
        """A node is killed while it writes and delivers: what it had said was sent is neither lost nor doubled."""
        self.tell.chapter("Un computer si spegne a metà consegna")
        self.tell.caption(
            "mer 17:58", "Pesaro manda una domanda dopo l'altra al distretto, e a metà il suo computer muore (kill -9)."
        )
        sender = self.net.nodes["comune-pesaro"]
        written: list[str] = []
        half = threading.Event()

        def write() -> None:
            for i in range(burst):
                text = f"Domanda di prova numero {i}"
                try:
                    leg = self.refer(
                        "comune-pesaro", "distretto", "PES-01", referral="RK-INFO", urgency="UR-INFO", subject="none",
                        description=text,
                    )  # fmt: skip
                except ProtocolError:
                    return  # the computer is off: nobody was told "inviata"
                written.append(leg)
                if len(written) == burst // 2:
                    half.set()

        desk = threading.Thread(target=write)
        desk.start()
        half.wait(40)
        sender.kill()
        desk.join()
        delivered = self._arrived("distretto", written)
        self.tell.lines([f"scritti {len(written)}, già al distretto {delivered}: il resto è sul disco di Pesaro."])
        self.tell.caption("gio 08:02", "La mattina dopo si riaccende.")
        sender.start()
        until("tutti gli invii al distretto", lambda: self._arrived("distretto", written) == len(written))
        offers = "SELECT COUNT(*) FROM event WHERE writer = 'S' AND n = 1 AND leg IN"
        if self.net.count("distretto", offers, written) != len(written):
            raise DemoError("qualche invio è doppio")
        until("tutte le ricevute a Pesaro", lambda: self._acknowledged("comune-pesaro", written) == len(written))
        self.tell.seen(
            f"{len(written)} scritti, {len(written)} arrivati, {len(written)} ricevute firmate: 0 persi, 0 doppi."
        )

    def _arrived(self, node: str, legs: list[str]) -> int:
        held = {line["leg"] for line in self.net.ask(node, "cases", {"side": "received", "all_": True})}
        return len(held.intersection(legs))

    def _acknowledged(self, node: str, legs: list[str]) -> int:
        return self.net.count(
            node, "SELECT COUNT(*) FROM event WHERE writer = 'S' AND k = 'processed' AND leg IN", legs
        )
