"""The member card as pictures that a till can read: a QR code, a bar code, and the whole card.

Owns the drawing, as SVG in black on white, whatever colours the page has: scanners want it so.
Refuses to know whose card it is. Code 128 is ISO/IEC 15417; digits go two by two in its set C.
"""

from __future__ import annotations

import segno
from markupsafe import Markup

_START_B, _START_C, _TO_C, _STOP = 104, 105, 99, 106
_TABLE = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 "
    "122132 122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 "
    "321221 312212 322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311 "
    "211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 "
    "213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 "
    "121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 "
    "241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 "
    "412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 "
    "211214 211232 2331112"
)
_WIDTHS = _TABLE.split()
"""Each symbol's bars and spaces in turn, in modules, by its value."""

_QUIET = 10
"""White modules before and behind, without which no scanner finds it."""


def code_128(digits: str) -> list[int]:
    """The symbols' values for these digits, with start, check and stop.

    Raises ValueError for what is not digits.
    """
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("this bar code is of digits")
    if len(digits) % 2:
        # The odd digit goes first, in set B, whose values are 16 for "0" and so on.
        symbols = [_START_B, 16 + int(digits[0])] + ([_TO_C] if digits[1:] else [])
        rest = digits[1:]
    else:
        symbols, rest = [_START_C], digits
    symbols += [int(rest[place : place + 2]) for place in range(0, len(rest), 2)]
    check = symbols[0] + sum(place * value for place, value in enumerate(symbols))
    return [*symbols, check % 103, _STOP]


def bars(digits: str) -> tuple[list[tuple[int, int]], int]:
    """The black bars as (first module, modules), and how many modules all of it has."""
    found = []
    place = _QUIET
    for symbol in code_128(digits):
        for number, width in enumerate(map(int, _WIDTHS[symbol])):
            if number % 2 == 0:
                found.append((place, width))
            place += width
    return found, place + _QUIET


def bar_code(digits: str, label: str) -> Markup:
    """The number as a bar code, as wide as its place; `label` is for who cannot see it."""
    found, modules = bars(digits)
    path = "".join(f"M{place} 0h{width}v40h-{width}z" for place, width in found)
    return Markup(
        '<svg class="bar-code" viewBox="0 0 {} 40" preserveAspectRatio="none" role="img"'
        ' aria-label="{}" shape-rendering="crispEdges"><path fill="#000" d="{}"/></svg>'
    ).format(modules, label, path)


def qr_code(text: str, label: str) -> Markup:
    """The text as a QR code; `label` is for who cannot see it."""
    path, size = _qr_path(text)
    return Markup(
        '<svg class="qr-code" viewBox="0 0 {} {}" role="img" aria-label="{}"'
        ' shape-rendering="crispEdges"><path fill="#000" d="{}"/></svg>'
    ).format(size, size, label, path)


def whole_card(*, house: str, name: str, number: str, shown_number: str, direction: str) -> str:
    """The card as an SVG file of its own, as large as a card is (85.6 × 54 mm)."""
    found, modules = bars(number)
    wide = 520 / modules
    path = "".join(
        f"M{40 + place * wide:.2f} 300h{width * wide:.2f}v110h-{width * wide:.2f}z"
        for place, width in found
    )
    qr_path, qr_size = _qr_path(number)
    end, anchor = (560, "end") if direction == "rtl" else (40, "start")
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="85.6mm" height="54mm"'
            ' viewBox="0 0 856 540"><rect width="856" height="540" rx="32" fill="#0b6b62"/>'
            '<rect y="260" width="856" height="280" fill="#fff"/>'
            '<rect x="1.5" y="1.5" width="853" height="537" rx="31" fill="none" stroke="#0b6b62"'
            ' stroke-width="3"/>'
            '<g fill="#fff" font-family="sans-serif" text-anchor="{anchor}">'
            '<text x="{end}" y="90" font-size="44" font-weight="700">{house}</text>'
            '<text x="{end}" y="200" font-size="36">{name}</text></g>'
            '<path d="{path}"/>'
            '<text x="300" y="470" font-family="sans-serif" font-size="40" text-anchor="middle"'
            ' letter-spacing="3">{number}</text>'
            '<g transform="translate(596 286) scale({scale})"><path d="{qr_path}"/></g></svg>'
        ).format(
            anchor=anchor,
            end=end,
            house=house,
            name=name,
            path=path,
            number=shown_number,
            scale=f"{228 / qr_size:.4f}",
            qr_path=qr_path,
        )
    )


def _qr_path(text: str) -> tuple[str, int]:
    """The dark modules as an SVG path, and how wide it is, with four white ones around."""
    border = 4
    matrix = segno.make(text, error="m", micro=False).matrix
    dark = [
        f"M{x + border} {y + border}h1v1h-1z"
        for y, row in enumerate(matrix)
        for x, module in enumerate(row)
        if module
    ]
    return "".join(dark), len(matrix) + 2 * border
