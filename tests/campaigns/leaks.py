"""Finding a string where it must not be: files, and the memory of a process; plain, encoded, compressed. Linux only.

Every canary begins with the same mark, so that one search finds any of them; a hit tells which, and in which form.
"""

import re
import zlib
from base64 import b64encode
from pathlib import Path
from typing import NamedTuple

INFLATED_MAX = 1 << 20
CHUNK = 16 << 20
OVERLAP = 4096
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")


class Hit(NamedTuple):
    """`form`: plain, utf-16le, base64+1, gzip/plain …; `around`: what stands there, for whoever looks into it."""

    where: str
    form: str
    at: int
    around: bytes


class Scanner:
    """Looks for everything that begins with `mark` (ASCII, at least 12 characters)."""

    def __init__(self, mark):
        self.forms = dict(_forms(mark.encode()))
        self.bytes_seen = 0
        self.streams_opened = 0

    def data(self, data, where):
        """Hits in some bytes, streams compressed inside them included."""
        self.bytes_seen += len(data)
        hits = self._plain(data, where, "")
        view = memoryview(data)
        for found in _COMPRESSED.finditer(data):
            inner = _inflate(view[found.start() : found.start() + INFLATED_MAX])
            if inner:
                self.streams_opened += 1
                hits += self._plain(inner, f"{where}+{found.start()}", "gzip/")
        return hits

    def _plain(self, data, where, prefix):
        hits = []
        for form, needle in self.forms.items():
            at = data.find(needle)
            while at >= 0:
                hits.append(Hit(where, prefix + form, at, bytes(data[max(0, at - 24) : at + 80])))
                at = data.find(needle, at + 1)
        return hits

    def folder(self, folder):
        """Hits in every file under `folder`: databases, WAL, logs, configuration."""
        return [
            hit
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
            for hit in self.data(path.read_bytes(), str(path))
        ]

    def process(self, pid):
        """Hits in all the memory a process can write: what is mapped from files read-only is the files' own."""
        hits = []
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for begin, end, name in _maps(pid):
                for start in range(begin, end, CHUNK):
                    try:
                        memory.seek(start)
                        data = memory.read(min(CHUNK + OVERLAP, end - start))
                    except (OSError, ValueError, OverflowError):
                        break  # a mapping of a device, or gone meanwhile
                    hits += self.data(data, f"pid {pid} {start:x} {name}")
        return hits


def _forms(mark):
    yield "plain", mark
    yield "utf-16le", mark.decode().encode("utf-16-le")
    yield "utf-16be", mark.decode().encode("utf-16-be")
    yield "hex", mark.hex().encode()
    yield "hex-upper", mark.hex().upper().encode()
    yield "reversed", mark[::-1]
    for shift in range(3):
        # Characters that depend on the bytes before and after are cut off.
        head = (0, 2, 3)[shift]
        whole = b64encode(bytes(shift) + mark)
        needle = whole[head : len(whole) - (4 if (shift + len(mark)) % 3 else 0)]
        yield f"base64+{shift}", needle
        if (url := needle.translate(bytes.maketrans(b"+/", b"-_"))) != needle:
            yield f"base64url+{shift}", url


def _inflate(stream):
    reader = zlib.decompressobj(31 if stream[0] == 0x1F else 15)
    try:
        begun = reader.decompress(stream[:64])  # chance finds end here, nearly all
        return begun + reader.decompress(stream[64:], INFLATED_MAX)
    except zlib.error:
        return b""


def _maps(pid):
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, *rest = line.split(maxsplit=5)
        name = rest[3] if len(rest) == 4 else ""
        if (
            rights.startswith("r")
            and (not name or name.startswith("[") or "w" in rights)
            and name not in ("[vvar]", "[vsyscall]", "[vvar_vclock]")
        ):
            begin, end = (int(part, 16) for part in span.split("-"))
            yield begin, end, name.rpartition("/")[2]
