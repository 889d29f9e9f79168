"""A program of its own: a fax as Asterisk keeps it becomes a PDF, or a PDF becomes a fax.

    python -m channels.fax.convert_pages to-pdf|to-fax SOURCE TARGET MOST_PAGES

Prints one line of JSON: {"pages": 3}, or {"fault"} with a code of channels.fax.pages.Fault. A
process apart, with limits of its own: what comes is hostile, and whatever it does to a decoder,
the service goes on.

A fax has 1,728 points across a page, 204 to the inch, and 196 lines to the inch down (98 in the
coarse mode of incoming ones): a PDF shows them in their true shape.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pypdfium2
from PIL import Image, ImageOps, TiffImagePlugin
from pypdfium2.raw import FPDF_ERR_PASSWORD

MOST_MEMORY: Final = 1 << 30
MOST_CPU_SECONDS: Final = 60
MOST_OUTPUT_BYTES: Final = 64 << 20

WIDTH: Final = 1_728
ACROSS, DOWN = 204, 196
"""Points to the inch."""
A4_LINES: Final = 2_292
LONGEST_LINES: Final = 14 * DOWN
"""A Legal page: the longest that machines with sheets of paper print on one."""

WIDEST_FAX: Final = 4_864
"""A3 in the finest mode that machines have."""
LONGEST_FAX_LINES: Final = 20_000

# Below the first a grey is black, above the second white: edges of letters stay sharp, and only
# what is really grey is made of dots.
BLACK_BELOW, WHITE_ABOVE = 80, 200

_PHOTOMETRIC, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 262, 282, 283, 296


class Unusable(Exception):
    """The file cannot be used; the text is the fault's code."""


def to_pdf(source: Path, target: Path, most_pages: int) -> int:
    """A received fax as a PDF, one page for each; how many. Raises Unusable."""
    try:
        fax = Image.open(source, formats=["TIFF"])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Unusable("unknown_format") from None
    whole = pypdfium2.PdfDocument.new()
    with fax:
        for page in _frames(fax, most_pages):
            one = io.BytesIO()
            # A copy has none of the tags (order of bits) that Pillow would write again.
            page.copy().save(one, "PDF", dpi=_dots(page))
            whole.import_pages(pypdfium2.PdfDocument(one))
        if not len(whole):
            raise Unusable("damaged")
        whole.save(target)
        return len(whole)


def _frames(fax: Image.Image, most_pages: int) -> Iterator[Image.Image]:
    """The pages as far as they can be read: the rest of a broken transmission is lost anyway."""
    number = 0
    while True:
        try:
            fax.seek(number)
            width, height = fax.size
            if fax.mode != "1" or width > WIDEST_FAX or height > LONGEST_FAX_LINES:
                raise Unusable("damaged")
            fax.load()
        except EOFError:
            return
        except (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error):
            return
        if number == most_pages:
            raise Unusable("too_many_pages")
        yield fax
        number += 1


def _dots(page: Image.Image) -> tuple[float, float]:
    """Points to the inch, across and down; a machine's own where it says none that can be."""
    assert isinstance(page, TiffImagePlugin.TiffImageFile)
    tags = page.tag_v2
    try:
        across, down = float(tags[_X_RESOLUTION]), float(tags[_Y_RESOLUTION])
        if tags.get(_RESOLUTION_UNIT) == 3:
            across, down = across * 2.54, down * 2.54
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return ACROSS, DOWN
    fits = 50 <= across <= 1_300 and 50 <= down <= 1_300
    return (across, down) if fits else (ACROSS, DOWN)


def to_fax(source: Path, target: Path, most_pages: int) -> int:
    """A PDF as pages that a fax machine takes; how many. Raises Unusable."""
    try:
        document = pypdfium2.PdfDocument(source)
        document.init_forms()
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) == FPDF_ERR_PASSWORD
        raise Unusable("locked" if locked else "unknown_format") from None
    if not 0 < len(document) <= most_pages:
        raise Unusable("too_many_pages" if len(document) else "damaged")
    with TiffImagePlugin.AppendingTiffWriter(target, new=True) as fax:
        for page in document:
            try:
                image = _black_and_white(page)
            except (pypdfium2.PdfiumError, ValueError):
                raise Unusable("damaged") from None
            # Saved as its negative, and then called by its true name: Pillow's own way to write
            # white as 0, which machines expect, takes seconds a page.
            ImageOps.invert(image).convert("1", dither=Image.Dither.NONE).save(
                fax, "TIFF", compression="group4", dpi=(ACROSS, DOWN), strip_size=1 << 30
            )
            fax.newFrame()
    _call_white_zero(target)
    return len(document)


def _black_and_white(page: pypdfium2.PdfPage) -> Image.Image:
    """The page at its true size, or as large as the paper lets it be; only black and white."""
    width, height = page.get_size()
    if not (width > 0 and height > 0):
        raise ValueError("a page without a size")
    turned = width > height
    if turned:
        width, height = height, width
    across, down = width * ACROSS / 72, height * DOWN / 72
    shrink = min(1.0, WIDTH / across)
    if down * shrink > LONGEST_LINES:
        shrink = A4_LINES / down
    scale = shrink * ACROSS / 72
    drawn = page.render(scale=scale, grayscale=True, rotation=90 if turned else 0).to_pil()
    lines = max(1, round(drawn.height * DOWN / ACROSS))
    drawn = drawn.convert("L").resize((drawn.width, lines), Image.Resampling.LANCZOS)
    paper = Image.new("L", (WIDTH, max(lines, 1)), 255)
    paper.paste(drawn, ((WIDTH - drawn.width) // 2, 0))
    steep = 255 / (WHITE_ABOVE - BLACK_BELOW)
    contrast = [round(min(255.0, max(0.0, (grey - BLACK_BELOW) * steep))) for grey in range(256)]
    return paper.point(contrast).convert("1", dither=Image.Dither.FLOYDSTEINBERG).convert("L")


def _call_white_zero(file: Path) -> None:
    """Turn the photometric tag of each page from "black is 0" to "white is 0"."""
    data = bytearray(file.read_bytes())
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    while at:
        (entries,) = struct.unpack_from(f"{order}H", data, at)
        for place in range(at + 2, at + 2 + 12 * entries, 12):
            if struct.unpack_from(f"{order}H", data, place)[0] == _PHOTOMETRIC:
                struct.pack_into(f"{order}H", data, place + 8, 0)
        (at,) = struct.unpack_from(f"{order}I", data, at + 2 + 12 * entries)
    file.write_bytes(data)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT_BYTES, MOST_OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Run as a program."""
    way, source, target, most_pages = sys.argv[1:]
    convert = {"to-pdf": to_pdf, "to-fax": to_fax}[way]
    _limit()
    try:
        told: dict[str, int | str] = {"pages": convert(Path(source), Path(target), int(most_pages))}
    except Unusable as fault:
        told = {"fault": str(fault)}
    except MemoryError:
        told = {"fault": "too_much_work"}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
