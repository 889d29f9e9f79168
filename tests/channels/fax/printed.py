"""Pages for fax tests: a big word printed on each, and whether a picture shows it again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pypdfium2
from PIL import Image, ImageChops, ImageDraw, ImageFont

A4_AT_100: Final = (827, 1_169)
SLIP: Final = (500, 540)
"""A short page: a fax machine takes half a minute for a long one."""


def printed(word: str, size: tuple[int, int] = A4_AT_100) -> Image.Image:
    """A page of 100 dots to the inch with the word on it, and smaller lines below."""
    page = Image.new("L", size, 255)
    pen = ImageDraw.Draw(page)
    pen.text((60, 60), word, fill=0, font=ImageFont.load_default(120))
    for line in range(12):
        text = f"{word} {line} is line {line} of an order, 249.50"
        pen.text((60, 260 + 40 * line), text, fill=0, font=ImageFont.load_default(22))
    return page


def write_pdf(file: Path, *words: str, size: tuple[int, int] = A4_AT_100) -> None:
    """A PDF with a page for each word."""
    first, *others = [printed(word, size) for word in words]
    first.save(file, "PDF", save_all=True, append_images=others, resolution=100)


def pages_of(file: Path | bytes) -> list[Image.Image]:
    """The pages of a PDF, in grey, at 100 dots to the inch."""
    document = pypdfium2.PdfDocument(file)
    return [page.render(scale=100 / 72, grayscale=True).to_pil() for page in document]


def reads(page: Image.Image, word: str, *others: str, size: tuple[int, int] = A4_AT_100) -> bool:
    """Whether the page looks like the printed word, and less like any of the others."""
    found = _nearest(page, printed(word, size))
    rivals = [_nearest(page, printed(other, size)) for other in others]
    return found < 0.05 and all(found * 1.5 < rival for rival in rivals)


def _nearest(page: Image.Image, model: Image.Image) -> float:
    return min(_difference(page, model, down) for down in range(0, 60, 4))


def _difference(page: Image.Image, model: Image.Image, down: int) -> float:
    """How far the two are apart, 0 to 1, the page moved `down` points up.

    A fax machine prints a line of its own above, so a page comes out a little lower or shorter.
    """
    across = (page.width - model.width) // 2
    # What hangs over the page's edge is white paper.
    paper = Image.new("L", model.size, 255)
    paper.paste(
        page.convert("L").crop((max(across, 0), down, page.width, page.height)),
        (max(-across, 0), 0),
    )
    small = (model.width // 2, model.height // 2)
    apart = ImageChops.difference(paper.resize(small), model.resize(small))
    histogram = apart.histogram()
    return sum(level * count for level, count in enumerate(histogram)) / (255 * sum(histogram))
