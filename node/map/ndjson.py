"""The map as text, schemas.catalogue.MapLine by MapLine: record bytes are copied as received, never written anew.

Lines stand in order of id, node, then public before network; the public map is the members' without its network lines.
"""

from collections.abc import Iterable, Iterator

from node.map.fold import SHOWN, Entry, Line, View

MEDIA_TYPE = "application/x-ndjson"


def map_lines(entries: Iterable[Entry], view: View) -> Iterator[bytes]:
    """The lines of a map, each with its newline, from entries in order of id, then node."""
    for entry in entries:
        for vis in SHOWN[view]:
            if line := entry.public if vis == "public" else entry.network:
                yield _map_line(entry, vis, line)


def _map_line(entry: Entry, vis: str, line: Line) -> bytes:
    """Ids, node ids and hashes need no JSON escapes: their patterns allow none."""
    head = f'{{"id":"{entry.id}","node":"{entry.node}","vis":"{vis}","rev":{line.source.rev},"at":{line.source.at},'
    tail = f'"pub":"{line.source.pub}","seq":{line.source.seq},"leaf":"{line.leaf}","record":'
    return b"%s%s%s}\n" % (head.encode(), tail.encode(), line.record)
