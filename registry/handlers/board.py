"""What followers and new members read: roots, members document, log, head, objects. Parse, ask the engine, render."""

from node.runtime.routes import Reply, json_reply
from protocol.errors import ProtocolError
from protocol.names import check_hash
from registry.service import WAIT_MAX, Asked, Service
from schemas.catalogue import LogPage

JOSE = "application/jose"
NOTE = "text/plain; charset=utf-8"
OBJECT = "application/octet-stream"


async def roots(service: Service, asked: Asked) -> Reply:
    """{"roots":["{…}",…]}: the General JSON texts after number `after`."""
    after = asked.call.whole("after", 0)
    return json_reply({"roots": await service.read(lambda db: service.engine.roots_after(db, after))})


async def members(service: Service, asked: Asked) -> Reply:
    """The document in force, or 304 when the caller has it (after `wait` seconds without a newer one)."""
    have, wait = asked.call.whole("have", 0), asked.call.whole("wait", 0, most=WAIT_MAX)

    async def look() -> bytes | None:
        held = service.membership
        return held.raw if held.version > have else None

    raw = await service.wait_for(look, wait)
    return Reply(304) if raw is None else Reply(body=raw, media=JOSE)


async def log(service: Service, asked: Asked) -> Reply:
    """Leaves from `after` up to a signed head; empty after `wait` seconds without any."""
    after, wait = asked.call.whole("after", 0), asked.call.whole("wait", 0, most=WAIT_MAX)
    last: list[LogPage] = []

    async def look() -> LogPage | None:
        last[:] = [await service.read(lambda db: service.engine.log_page(db, after))]
        return last[0] if last[0].entries else None

    found = await service.wait_for(look, wait)
    return json_reply(found or last[0])


async def checkpoint(service: Service, _: Asked) -> Reply:
    """The newest signed head, as a C2SP note."""
    return Reply(body=(await service.read(service.engine.checkpoint)).encode(), media=NOTE)


async def object_(service: Service, asked: Asked) -> Reply:
    """Bytes by hash; those of the network chain only for current members."""
    name = check_hash(asked.call.params["hash"], field="hash")
    found = await service.read(lambda db: service.engine.object(db, name))
    if found.vis == "network" and asked.caller is None:
        raise ProtocolError("unauthenticated", field="authorization")
    return Reply(body=found.bytes, media=OBJECT)
