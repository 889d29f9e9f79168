"""Fax pages: TIFF to PDF and back in true shape, and what hostile files come to."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, TiffImagePlugin

from channels.fax.pages import MOST_PAGES_SENT, Fault, Pages, Unusable
from tests.channels.fax.printed import pages_of, printed, reads, write_pdf

pytestmark = pytest.mark.unit


async def test_a_pdf_becomes_what_machines_take_and_comes_back_readable(tmp_path: Path) -> None:
    write_pdf(tmp_path / "in.pdf", "INVOICE", "PARCEL")
    pages = Pages()
    assert await pages.to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif") == 2
    with Image.open(tmp_path / "fax.tif") as fax:
        assert isinstance(fax, TiffImagePlugin.TiffImageFile)
        assert (fax.mode, fax.width, fax.n_frames) == ("1", 1_728, 2)
        assert fax.height == pytest.approx(11.69 * 196, abs=8)
        tags = dict(fax.tag_v2)
    # ITU-T T.6 in one strip, white is 0, 204 by 196 points to the inch.
    assert (tags[259], tags[262], tags[278]) == (4, 0, tags[257])
    assert (tags[282], tags[283], tags[296]) == (204, 196, 2)
    assert await pages.to_pdf(tmp_path / "fax.tif", tmp_path / "out.pdf") == 2
    first, second = pages_of(tmp_path / "out.pdf")
    assert first.height / first.width == pytest.approx(11.69 / (1_728 / 204), rel=0.01)
    assert reads(first, "INVOICE", "PARCEL", "RECEIPT")
    assert reads(second, "PARCEL", "INVOICE", "RECEIPT")


async def test_coarse_pages_have_their_true_shape(tmp_path: Path) -> None:
    """At 98 lines to the inch a page has half as many lines; it is as high all the same."""
    page = printed("COARSE").resize((1_728, 1_146)).convert("1")
    page.save(tmp_path / "coarse.tif", compression="group4", dpi=(204, 98))
    assert await Pages().to_pdf(tmp_path / "coarse.tif", tmp_path / "out.pdf") == 1
    (seen,) = pages_of(tmp_path / "out.pdf")
    assert seen.width == pytest.approx(847, abs=2)
    assert seen.height == pytest.approx(1_169, abs=2)
    assert reads(seen.resize((827, 1_169)), "COARSE", "SMOOTH")


async def test_pages_as_a_pbx_writes_them_are_read(tmp_path: Path) -> None:
    """ITU-T T.4 in two dimensions, the bits of each byte from the right, all in one strip."""
    page = printed("RECEIVED").resize((1_728, 2_292)).convert("1")
    tags = {266: 2, 292: 5, 278: 2_292}
    page.save(tmp_path / "in.tif", compression="group3", dpi=(204, 196), tiffinfo=tags)
    assert await Pages().to_pdf(tmp_path / "in.tif", tmp_path / "out.pdf") == 1
    (seen,) = pages_of(tmp_path / "out.pdf")
    assert reads(seen.resize((827, 1_169)), "RECEIVED", "ANSWERED")


async def test_a_page_across_the_paper_is_turned(tmp_path: Path) -> None:
    printed("ACROSS").rotate(90, expand=True).save(tmp_path / "in.pdf", resolution=100)
    await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    await Pages().to_pdf(tmp_path / "fax.tif", tmp_path / "out.pdf")
    (seen,) = pages_of(tmp_path / "out.pdf")
    assert reads(seen, "ACROSS") or reads(seen.rotate(180), "ACROSS")


async def test_a_page_of_any_size_fits_the_paper(tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    for width, height in ((14_400, 14_400), (3, 14_400), (50, 50), (14_400, 3)):
        document.new_page(width, height)
    document.save(tmp_path / "in.pdf")
    assert await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif") == 4
    with Image.open(tmp_path / "fax.tif") as fax:
        assert isinstance(fax, TiffImagePlugin.TiffImageFile)
        for page in range(4):
            fax.seek(page)
            assert fax.width == 1_728
            assert 0 < fax.height <= 2_744


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def of_empty_pages(file: Path, count: int) -> None:
    document = pypdfium2.PdfDocument.new()
    for _ in range(count):
        document.new_page(595, 842)
    document.save(file)


async def test_five_hundred_pages_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    of_empty_pages(tmp_path / "in.pdf", 500)
    with pytest.raises(Unusable) as refusal:
        await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    assert refusal.value.fault is Fault.TOO_MANY_PAGES
    assert names_in(tmp_path) == ["in.pdf"]


async def test_as_many_pages_as_are_allowed_are_taken(tmp_path: Path) -> None:
    of_empty_pages(tmp_path / "in.pdf", MOST_PAGES_SENT)
    assert await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif") == MOST_PAGES_SENT


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", Fault.UNKNOWN_FORMAT),
        (b"%PDF-1.7\n" + random.Random(1).randbytes(50_000), Fault.UNKNOWN_FORMAT),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), Fault.UNKNOWN_FORMAT),
        (b"<html>", Fault.UNKNOWN_FORMAT),
    ],
    ids=["nothing", "noise", "a picture", "a page of the web"],
)
async def test_what_is_no_pdf_is_refused(tmp_path: Path, content: bytes, fault: Fault) -> None:
    (tmp_path / "in.pdf").write_bytes(content)
    with pytest.raises(Unusable) as refusal:
        await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    assert refusal.value.fault is fault
    assert not (tmp_path / "fax.tif").exists()


async def test_a_locked_pdf_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "in.pdf").write_bytes(LOCKED)
    with pytest.raises(Unusable) as refusal:
        await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    assert refusal.value.fault is Fault.LOCKED


async def test_too_large_a_file_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "in.pdf").open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(Unusable) as refusal:
        await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    assert refusal.value.fault is Fault.TOO_LARGE


async def test_a_bomb_of_a_picture_ends_in_a_refusal(tmp_path: Path) -> None:
    """A page whose picture says to be of 30,000 x 30,000 points: 900 MB unpacked."""
    side = 30_000
    packed = zlib.compressobj(1)
    stream = b"".join(packed.compress(bytes(side)) for _ in range(side)) + packed.flush()
    picture = (
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray"
        b"/BitsPerComponent 8/Filter/FlateDecode/Length %d>>stream\n" % (side, side, len(stream))
    )
    show = b"q 500 0 0 500 0 0 cm /I Do Q"
    (tmp_path / "in.pdf").write_bytes(
        pdf_of(
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
            b"/Resources<</XObject<</I 5 0 R>>>>>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(show), show),
            picture + stream + b"\nendstream",
        )
    )
    try:
        pages = await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    except Unusable as refusal:
        assert refusal.fault in {Fault.TOO_MUCH_WORK, Fault.DAMAGED}  # noqa: PT017
    else:
        # PDFium leaves such a picture out; what it makes is a page of bounded size.
        assert pages == 1
        assert (tmp_path / "fax.tif").stat().st_size < 1 << 20


@pytest.mark.parametrize("cut", [0.02, 0.4, 0.95])
async def test_a_broken_transmission_keeps_the_pages_that_came(tmp_path: Path, cut: float) -> None:
    write_pdf(tmp_path / "in.pdf", "ONE", "TWO", "THREE")
    await Pages().to_fax(tmp_path / "in.pdf", tmp_path / "fax.tif")
    whole = (tmp_path / "fax.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: int(len(whole) * cut)])
    try:
        pages = await Pages().to_pdf(tmp_path / "cut.tif", tmp_path / "out.pdf")
    except Unusable as refusal:
        assert refusal.fault in {Fault.DAMAGED, Fault.UNKNOWN_FORMAT}  # noqa: PT017
        assert cut < 0.4
    else:
        assert pages == {0.4: 1, 0.95: 2}[cut]
        assert reads(pages_of(tmp_path / "out.pdf")[0], "ONE", "TWO")


async def test_a_tiff_with_impossible_sizes_is_refused(tmp_path: Path) -> None:
    page = printed("SIZE").convert("1")
    page.save(tmp_path / "in.tif", compression="group4")
    data = bytearray((tmp_path / "in.tif").read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    for place in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, place)[0] in {256, 257}:
            struct.pack_into("<HII", data, place + 2, 4, 1, 2_000_000_000)
    (tmp_path / "in.tif").write_bytes(data)
    with pytest.raises(Unusable):
        await Pages().to_pdf(tmp_path / "in.tif", tmp_path / "out.pdf")


def pdf_of(*objects: bytes) -> bytes:
    data, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj" % number + content + b"endobj\n"
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer<</Size %d/Root 1 0 R>>startxref\n%d\n" % (len(objects) + 1, table)
    return bytes(data) + b"%%EOF"


LOCKED = pdf_of(
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>",
    b"<</Filter/Standard/V 2/R 3/Length 128/P -44/O<" + b"5a" * 32 + b">/U<" + b"a5" * 32 + b">>>",
).replace(b"/Root 1 0 R", b"/Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]")
