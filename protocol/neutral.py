"""The neutral order of equals: recomputable by anybody, different every day, never by name (DESIGN §4)."""

from hashlib import sha256


def neutral_key(date_iso: str, category: str, member: str) -> bytes:
    """SHA-256(date ‖ category ‖ member): 32 bytes, compared as bytes, the smallest comes first.

    The bytes hashed are ASCII and stand one after the other with nothing between: the date in Italy as ten characters
    `2026-11-21`, the category code as published (`SC-PATR`), the member's NodeId. Dates have one length, codes are
    upper case and end where a NodeId begins, so that a shell can recompute it:
    `printf '2026-11-21SC-PATRpatr-fittizio-a' | sha256sum`.
    """
    return sha256(f"{date_iso}{category}{member}".encode("ascii")).digest()
