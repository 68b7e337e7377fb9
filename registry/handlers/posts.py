"""What bodies and members post: requests to join, statements, catalogues. Parse, ask the engine, render."""

from node.runtime.routes import Reply, json_reply
from protocol.errors import ProtocolError
from protocol.strict import decode
from registry.service import Asked, Service
from schemas.membership import LeaveAnswer, LeaveRequest

LEAVE_MAX = 1024


async def join(service: Service, asked: Asked) -> Reply:
    """A request to become a member; it waits for guarantors."""
    raw = asked.body
    prepared = await service.read(lambda db: service.engine.prepare_join(db, raw))
    return json_reply(await service.write(lambda tx: service.engine.join(tx, prepared)), 202)


async def join_state(service: Service, asked: Asked) -> Reply:
    """What became of a request; its ref is a secret of who made it."""
    ref = asked.call.params["ref"]
    return json_reply(await service.read(lambda db: service.engine.join_state(db, ref)))


async def statement(service: Service, asked: Asked) -> Reply:
    """Keys and routes; they prove themselves, and who lost a key could sign no call."""
    raw = asked.body
    stated = await service.read(lambda db: service.engine.prepare_statement(db, raw))
    return json_reply(await service.write(lambda tx: service.engine.state(tx, stated)))


async def leave(service: Service, asked: Asked) -> Reply:
    """A member goes, by its own word; nobody says it for another but the capofila."""
    request = decode(asked.body, LeaveRequest, max_bytes=LEAVE_MAX)
    if request.node != asked.caller:
        raise ProtocolError("forbidden", field="node")
    if request.net != service.membership.net:
        raise ProtocolError("wrong-network", field="net")
    return json_reply(LeaveAnswer(await service.write(lambda tx: service.engine.end(tx, request.node))))


async def catalogue(service: Service, asked: Asked) -> Reply:
    """A snapshot, by its own member."""
    raw = asked.body
    posted = await service.read(lambda db: service.engine.prepare_catalogue(db, raw))
    if posted.signed.publication.node != asked.caller:
        raise ProtocolError("forbidden", field="node")
    return json_reply(await service.write(lambda tx: service.engine.publish(tx, posted)))
