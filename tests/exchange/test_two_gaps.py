"""One batch that closes a gap and then tells again of a place before it: each sealing is acknowledged once."""

from node.exchange import outbox
from node.exchange.log import leg_row
from schemas.wire import Item
from tests.exchange.desks import Ambito, offer


def test_a_sealing_that_waited_is_acknowledged_once_however_often_the_batch_passes_it(tmp_path):
    ambito = Ambito(tmp_path, "tavullia", "distretto")
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    for _ in range(3):
        a.act(leg, "amend", as_="OP", offer=offer(description="più tardi"))

    def sealing(n, kind):
        return Item(
            *a.one("SELECT o.e, o.s FROM outgoing o JOIN event v USING (jti) WHERE v.n = ? AND v.kind = ?", n, kind)
        )

    b.receive([sealing(4, "amend")])
    cm = a.one("SELECT cm FROM event WHERE leg = ? AND n = 2", leg)
    a.run(lambda tx: outbox.write_void(tx, a.ctx, leg_row(tx, leg), "S", 2, 0, cm, told=True))
    received = b.receive([sealing(2, "amend"), sealing(3, "amend"), sealing(2, "void")])
    assert received.answer.later == [] and len(received.answer.receipts) == 1
    assert b.one("SELECT COUNT(*) FROM inbox WHERE k = 'processed'") == 5
    (parcel,) = a.due()
    a.answered(parcel, received.answer)
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0
