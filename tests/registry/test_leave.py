"""A member leaves by its own call: for itself only, once, and everybody sees it."""

import msgspec

from protocol import paths
from schemas.membership import LeaveRequest
from tests.registry.test_http import problem, served
from tests.registry.world import line

__all__ = ["served"]


def leaving(served, node="comune-tavullia", net=None):
    return msgspec.json.encode(LeaveRequest(net=net or served.world.net, node=node))


async def test_a_member_leaves_by_its_own_call_and_its_entries_with_it(served):
    assert (await served.call("GET", paths.MAP))[1]
    status, raw = await served.as_(served.tavullia, "POST", paths.LEAVE, leaving(served))
    held = served.app.service.membership
    assert status == 200 and msgspec.json.decode(raw) == {"version": held.version}
    assert held.member("comune-tavullia").status == "ended"
    assert (await served.call("GET", paths.MAP))[1] == b""
    post = msgspec.json.encode(served.tavullia.catalogue([line("Nuovo")], served.world.clock.now()))
    assert problem((await served.as_(served.tavullia, "POST", paths.CATALOGUE, post))[1]) == "not-a-member"
    again = await served.as_(served.tavullia, "POST", paths.LEAVE, leaving(served))
    assert (again[0], problem(again[1])) == (403, "not-a-member")


async def test_nobody_leaves_for_another_nor_from_another_network(served):
    version = served.app.service.membership.version
    for body, code in (
        (leaving(served, "comune-gradara"), "forbidden"),
        (leaving(served, net="A" * 43), "wrong-network"),
        (b'{"net":"x","node":"comune-tavullia"}', "bad-shape"),
        (b"{}", "bad-shape"),
    ):
        assert problem((await served.as_(served.tavullia, "POST", paths.LEAVE, body))[1]) == code
    assert problem((await served.call("POST", paths.LEAVE, leaving(served)))[1]) == "unauthenticated"
    assert served.app.service.membership.version == version
