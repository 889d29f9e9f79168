"""What somebody wrote, apart from what they quoted below it.

Owns the marks by which mail programs begin a quotation, in English, Chinese, Spanish and Persian,
and those of Outlook, Gmail, Apple Mail and QQ. Reads each line once: a text is hostile. Where it is
not plain what is quoted (answers between the lines), nothing is taken away.
"""

from __future__ import annotations

import re

_LONGEST_LINE = 400
_WROTE = re.compile(
    r"""(?:
      On\b.{4,}\bwrote | El\b.{4,}\bescribi[óo] | (?:在|于)?\s*\d{4}\s*年.{4,}[写寫]道
      | در\b.{4,}نوشت(?:ه\s+است)? | Am\b.{4,}\bschrieb.* | Le\b.{4,}\ba\s+écrit
    )\s*[:：]\s*$""",
    re.X | re.I,
)
# Without a beginning of its own it must stand on one line, and name a day or an address.
_WROTE_ALONE = re.compile(r".{0,200}[\d@].{0,200}(?:[写寫]道|来信|نوشت(?:ه\s+است)?)\s*[:：]\s*$")
_SEPARATOR = re.compile(
    r"""\s*(?:
      [-_–—*]{2,}\s*(?:Original\s+Message | Mensaje\s+original | 原始邮件 | 原邮件 | 原始郵件
        | 回复的原邮件 | پیام\s+اصلی)\s*[-_–—*]{0,40}
      | _{20,}
    )\s*$""",
    re.X | re.I,
)
_FROM = re.compile(r"[\s*]{0,6}(?:From|De|发件人|寄件者|寄件人|از|فرستنده)[\s*]{0,4}[:：]", re.I)
_FURTHER = re.compile(
    r"""[\s*]{0,6}(?:
      Sent|Date|To|Subject|Cc|Enviado(?:\s+el)?|Fecha|Para|Asunto|发送时间|发送日期|日期|时间|收件人
      |主题|抄送|寄件日期|傳送時間|收件者|主旨|تاریخ|ارسال|به|موضوع
    )[\s*]{0,4}[:：]""",
    re.X | re.I,
)


def split(text: str) -> tuple[str, str]:
    """What was written, and what of others' it quotes ("" if nothing is)."""
    lines = text.split("\n")
    at, first_quoted = _beginning(lines)
    own, quoted = lines[:at], lines[at:]
    marked = [at for at in range(first_quoted, len(lines)) if lines[at].startswith(">")]
    below: list[str] = []
    if marked and not _is_written(lines[first_quoted : marked[0]]):
        below = lines[marked[-1] + 1 :]
        between = (line for line in lines[marked[0] : marked[-1]] if not line.startswith(">"))
        if any(line.strip() for line in between):
            return text.strip("\n"), ""
    if _is_written(own) and not _is_written(below):
        return _joined(own), _joined(quoted)
    if _is_written(below) and not _is_written(own):
        return _joined(below), _joined(quoted[: len(quoted) - len(below)])
    return text.strip("\n"), ""


def _beginning(lines: list[str]) -> tuple[int, int]:
    """The first line that belongs to a quotation, and the first that is quoted itself."""
    for at, line in enumerate(lines):
        if line.startswith(">"):
            return at, at
        if _SEPARATOR.match(line[:_LONGEST_LINE]):
            if line.strip("_ ") or _is_head(lines, at + 1):
                return at, at + 1
        elif _FROM.match(line[:20]) and _is_head(lines, at):
            return at, at + 1
        elif height := _attribution(lines[at : at + 3]):
            return at, at + height
    return len(lines), len(lines)


def _attribution(lines: list[str]) -> int:
    """How many lines say "On ..., ... wrote:" here: mail programs break it at 70 letters."""
    joined = ""
    for height, line in enumerate(lines, 1):
        joined = f"{joined} {line.strip()}".strip()
        if not line.strip() or len(joined) > _LONGEST_LINE:
            return 0
        if joined[-1] in ":：" and (
            _WROTE.match(joined) or (height == 1 and _WROTE_ALONE.match(joined))
        ):
            return height
    return 0


def _is_head(lines: list[str], at: int) -> bool:
    """Whether a head as Outlook writes it begins here: From, and two of Sent, To, Subject."""
    head = [line[:40] for line in lines[at : at + 9]]
    named = next((line for line in head if line.strip()), "")
    return bool(_FROM.match(named)) and sum(bool(_FURTHER.match(line)) for line in head) >= 2


def _is_written(lines: list[str]) -> bool:
    return any(line.strip() for line in lines)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n").rstrip()
