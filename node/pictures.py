"""A photo or a scan made small enough to travel: bytes in, JPEG bytes out, nothing but pixels kept. No files.

Runs where the person sits, in the command's own process: the node itself never decodes a picture. Place, time and
device of a photo (EXIF, GPS, XMP, comments) are not carried over; the same bytes always give the same result, so that
what was looked at is what is sent.
"""

import io
import warnings
from typing import TYPE_CHECKING, Final

from protocol.attachments import IMAGES, type_of
from protocol.errors import ProtocolError
from protocol.limits import BLOB_MAX

if TYPE_CHECKING:
    from PIL.Image import Image

FILE_MAX: Final = 100 * 1024 * 1024
PIXELS_MAX: Final = 120_000_000
"""A telephone makes up to 108 million; decoded that is 350 MB. More is refused before a pixel is decoded."""
TARGET: Final = 2 * 1024 * 1024
"""What a reduced picture aims at: a page stays readable, and a slow line carries it in minutes."""
STEPS: Final = ((3508, 85), (2480, 85), (2480, 75), (1754, 75), (1240, 70), (1000, 50))
"""Longest side (3508 is A4 at 300 points per inch) and JPEG quality, the best that fits first."""


def reduced(raw: bytes) -> bytes:
    """Raises attachment-type (no picture), attachment-unreadable (damaged, or too many pixels)."""
    if type_of(raw[:16]) not in IMAGES:
        raise ProtocolError("attachment-type", expected="JPEG, PNG", got="PDF")
    if len(raw) > FILE_MAX:
        raise ProtocolError("attachment-unreadable", expected=f"at most {FILE_MAX} bytes")
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as opened:
                return _smallest(_pixels(opened))
    except ProtocolError:
        raise
    except Exception:  # a decoder's own words may quote the file, and its kinds of failure are many
        raise ProtocolError("attachment-unreadable") from None


def _pixels(opened: "Image") -> "Image":
    """Upright, on white, grey or RGB; a large JPEG is decoded at a fraction of its size."""
    from PIL import Image, ImageOps

    if opened.width * opened.height > PIXELS_MAX:
        raise ProtocolError("attachment-unreadable", expected=f"at most {PIXELS_MAX}")
    opened.draft("RGB" if opened.mode != "L" else "L", (STEPS[0][0], STEPS[0][0]))
    opened.thumbnail((STEPS[0][0], STEPS[0][0]), Image.Resampling.LANCZOS)
    upright = ImageOps.exif_transpose(opened)
    if upright.mode in ("1", "L"):
        return upright.convert("L")
    if "A" in upright.getbands() or "transparency" in upright.info:
        paper = Image.new("RGB", upright.size, "white")
        shown = upright.convert("RGBA")
        paper.paste(shown, mask=shown.getchannel("A"))
        return paper
    return upright.convert("RGB")


def _smallest(picture: "Image") -> bytes:
    from PIL import Image

    written = b""
    for side, quality in STEPS:
        smaller = picture.copy()
        smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
        clean = Image.new(smaller.mode, smaller.size)  # pixels alone: no metadata of the original comes along
        clean.paste(smaller)
        out = io.BytesIO()
        clean.save(out, "JPEG", quality=quality, optimize=True)
        written = out.getvalue()
        if len(written) <= TARGET:
            return written
    if len(written) > BLOB_MAX:
        raise ProtocolError("attachment-unreadable", expected=f"at most {BLOB_MAX} bytes")
    return written
