"""One member with a store, a real membership and a clock that can be moved; its catalogue driven as the commands do."""

from datetime import date

from node import requests as ask
from node.catalogue import entries, importing, publishing, tables
from node.context import Context
from node.engine import MIGRATIONS, store_path
from node.map.hours import local
from node.runtime.dice import SeededDice
from node.runtime.keystore import MemoryKeystore
from node.runtime.store import Store
from protocol.publications import Held, check_publication, check_records
from protocol.suite import S1
from schemas.catalogue import CatalogueAnswer
from tests.protocol.network import T0, Network, sealer, seed, signer

HEADER = "servizio;descrizione;destinatari;indirizzo;comune;telefono;orari;documenti;costo;aggiornato al;quartiere"
ROWS = (
    "Sportello sociale;informazioni;tutti;Via Esempio 1;Pesaro;0721 000101;lun-ven 9-12;nessuno;gratuito;15/09/2026;Centro",
    "Contributi economici;aiuto bollette;famiglie;Via Esempio 1;Pesaro;0721 000103;mer 9-12;ISEE;gratuito;01/03/2026;Centro",
    "Sportello mare;informazioni;tutti;Viale Mare 22;Pesaro;0721 000102;mar ven 9-12.30;nessuno;gratuito;;Mare",
    "Linea urgente (non pubblicare);solo nodi della rete;tutti;-;Pesaro;0721 002099;lun-sab 8-20;nessuno;gratuito;15/09/2026;",
)


def sheet(*rows):
    return "\n".join((HEADER, *(rows or ROWS))).encode()


class Clock:
    def __init__(self, at=T0 + 600):
        self.at = at

    def now(self):
        return self.at


class Member:
    def __init__(self, path, name="comune-pesaro", **admission):
        self.clock = Clock()
        self.network = Network()
        fields = {"name": "Comune di Pesaro", "territory": ["041044"], **admission}
        self.network.add(name, admission=self.network.admission(name, **fields))
        self.membership = self.network.step()
        dice = SeededDice(7)
        keys = MemoryKeystore(dice)
        keys.add_signing(seed(name), signer(name).kid, T0)
        keys.add_sealing(seed(name), sealer(name).kid, T0)
        self.ctx = Context(me=name, net=self.network.net, suite=S1, clock=self.clock, dice=dice, keystore=keys)
        self.ctx.adopt(self.membership)
        self.store = Store.open(store_path(path / name), (*MIGRATIONS, *tables.MIGRATIONS))
        self.board = {}

    @property
    def today(self) -> date:
        return local(self.clock.at).date()

    def run(self, command):
        return self.store.run(command)

    def bring(self, *rows, name="foglio.csv", **options):
        request = ask.Import(name=name, content=sheet(*rows), **options)
        return self.run(lambda tx: importing.run(tx, self.ctx, request))

    def list(self, **options):
        owner = entries.owner_of(self.ctx)
        return self.store.read(lambda db: entries.listing(db, ask.Entries(**options), self.today, owner))

    def ids(self):
        return {row.name: row.id for row in self.store.read(lambda db: list(entries.rows(db)))}

    def confirm(self, day=None, **which):
        chosen = ask.Selection(**which)
        day = day or self.today.isoformat()
        return self.run(lambda tx: entries.confirm(tx, chosen, day, self.clock.at, self.today))

    def notice(self, text, until=None, **which):
        request = ask.SetNotice(which=ask.Selection(**which), text=text, until=until)
        return self.run(lambda tx: entries.set_notice(tx, request, self.clock.at, self.today))

    def publish(self):
        """The two chains' results, public first."""
        return self.run(lambda tx: publishing.publish(tx, self.ctx))

    def pending(self):
        return self.store.read(publishing.pending_posts)

    def post(self):
        """What a registry would do with everything pending; returns the records by chain."""
        for post in self.pending():
            held = self.board.get(post.vis)
            signed = check_publication(
                post.publication, post.manifest, self.membership, held and held[0], self.clock.at
            )
            records = check_records(
                signed.publication, post.manifest, post.records, lambda _: None, lambda _: self.ctx.me
            )
            self.board[post.vis] = (Held(post.rev, signed.digest), records)
            self.run(lambda tx, p=post: publishing.posted(tx, p.vis, p.rev, CatalogueAnswer(accepted=True, seq=0)))
        return {vis: [record.service for record in records] for vis, (_, records) in self.board.items()}
