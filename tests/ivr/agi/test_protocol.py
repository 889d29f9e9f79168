"""The AGI protocol's reader and writer, on bytes as Asterisk writes them and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.agi.protocol import (
    MAX_ANSWER,
    MAX_COMMAND,
    MAX_HEADER_LINES,
    MAX_LINE,
    MAX_STRAY,
    AgiReader,
    Answer,
    BadCommand,
    HangUpNotice,
    Header,
    ProtocolBroken,
    command,
)

pytestmark = pytest.mark.unit

HEADER = (
    b"agi_network: yes\n"
    b"agi_network_script: menu?number=610&key=secret\n"
    b"agi_request: agi://127.0.0.1:4573/menu?number=610&key=secret\n"
    b"agi_channel: PJSIP/trunk-00000000\n"
    b"agi_callerid: +8613800138000\n"
    b"agi_calleridname: \xe7\x8e\x8b\xe8\x8a\xb3\n"
    b"agi_rdnis: unknown\n"
    b"agi_accountcode: \n"
    b"\n"
)
USAGE = (
    b"520-Invalid command syntax.  Proper usage follows:\n"
    b"Waits up to <replaceable>timeout</replaceable> milliseconds.\n"
    b"200 is the code of an answer.\n"
    b"520 End of proper usage.\n"
)
STREAM = (
    HEADER
    + b"200 result=0\n"
    + b"200 result=1 (Jos\xe9)\n"
    + b"HANGUP\n"
    + b"200 result=-1 endpos=12320\n"
    + USAGE
    + b"511 Command Not Permitted on a dead channel or intercept routine\n"
)


def read(data: bytes) -> list[Header | Answer | HangUpNotice]:
    return AgiReader().feed(data)


def answers(data: bytes) -> list[Header | Answer | HangUpNotice]:
    """What follows the header."""
    return read(HEADER + data)[1:]


def one(data: bytes) -> Answer:
    (found,) = answers(data)
    assert isinstance(found, Answer)
    return found


def test_a_header_is_read_by_name() -> None:
    (header,) = read(HEADER)
    assert isinstance(header, Header)
    assert header.values["channel"] == "PJSIP/trunk-00000000"
    assert header.values["calleridname"] == "王芳"
    assert header.values["accountcode"] == ""


def test_a_header_in_latin_1_or_in_no_encoding_is_read_nevertheless() -> None:
    (header,) = read(b"agi_calleridname: Jos\xe9 \x80\xff\x00\r\n\r\n")
    assert isinstance(header, Header)
    assert header.values["calleridname"] == "José \x80ÿ "


def test_what_a_caller_puts_into_a_name_cannot_replace_what_asterisk_has_said() -> None:
    (header,) = read(b"agi_callerid: 100\nagi_calleridname: x\nagi_callerid: 200\n\n")
    assert isinstance(header, Header)
    assert header.values["callerid"] == "100"


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"agi-callerid: 1\n",
        b"agi_without_colon\n",
        b"agi_" + b"x" * (MAX_LINE + 1),
        b"agi_a: b\n" * (MAX_HEADER_LINES + 1),
        (b"agi_a: " + b"x" * (MAX_LINE - 10) + b"\n") * 10,
    ],
)
def test_what_is_no_header_or_has_no_end_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        read(data)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"200 result=0\n", Answer(200, "0")),
        (b"200 result=49 endpos=1600\n", Answer(200, "49", endpos=1600)),
        (b"200 result= (timeout)\n", Answer(200, "", "timeout")),
        (b"200 result=12* (timeout)\r\n", Answer(200, "12*", "timeout")),
        (b"200 result=1 (a (b) c)\n", Answer(200, "1", "a (b) c")),
        (b"200 result=1 ()\n", Answer(200, "1")),
        (b"200 result=-1 (hangup) endpos=7\n", Answer(200, "-1", "hangup", 7)),
        (b"200 result=1 (endpos=5) endpos=9\n", Answer(200, "1", "endpos=5", 9)),
        (b"510 Invalid or unknown command\n", Answer(510)),
        (b"511 Command Not Permitted on a dead channel\n", Answer(511)),
        (b"520 Invalid command syntax.  Proper usage not available.\n", Answer(520)),
        (b"200 Result \xff\n", Answer(200)),
    ],
)
def test_an_answer_of_one_line(line: bytes, expected: Answer) -> None:
    found = one(line)
    assert (found.code, found.result, found.data, found.endpos) == (
        expected.code,
        expected.result,
        expected.data,
        expected.endpos,
    )


def test_usage_is_one_answer_whatever_stands_in_it() -> None:
    assert [found.code for found in answers(USAGE) if isinstance(found, Answer)] == [520]


def test_a_value_with_line_ends_is_one_answer() -> None:
    found = answers(b"200 result=1 (one\n200 result=0\ntwo)\n200 result=7\n")
    assert [(answer.result, answer.data) for answer in found if isinstance(answer, Answer)] == [
        ("1", "one\n200 result=0\ntwo"),
        ("7", ""),
    ]


@pytest.mark.parametrize("data", [b"HANGUP\n200 result=-1\n", b"HANGUP200 result=-1\n"])
def test_a_hang_up_within_a_dialogue_leaves_the_answer_whole(data: bytes) -> None:
    notice, answer = answers(data)
    assert isinstance(notice, HangUpNotice)
    assert isinstance(answer, Answer)
    assert answer.number == -1


def test_a_hang_up_within_usage_does_not_break_it() -> None:
    found = answers(USAGE.replace(b"Waits", b"HANGUP\nWaits"))
    assert [type(each) for each in found] == [HangUpNotice, Answer]


def test_rubbish_is_no_answer_and_is_borne_for_a_while() -> None:
    reader = AgiReader()
    reader.feed(HEADER)
    assert reader.feed(b"what\n\n2000\n20x result=1\n") == []
    assert reader.stray == 24
    with pytest.raises(ProtocolBroken):
        reader.feed(b"rubbish\n" * MAX_STRAY)


@pytest.mark.parametrize(
    "data", [b"520-usage\n" + b"more\n" * MAX_ANSWER, b"200 result=1 (\n" + b"x" * MAX_LINE + b"x"]
)
def test_an_answer_without_an_end_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        answers(data)


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=30))
def test_however_the_bytes_are_cut_the_same_is_read(cuts: list[int]) -> None:
    reader, found, begin = AgiReader(), [], 0
    for end in [*sorted(set(cuts)), len(STREAM)]:
        found += reader.feed(STREAM[begin:end])
        begin = end
    assert found == read(STREAM)
    assert len(found) == 7


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_what_is_promised(data: bytes) -> None:
    reader = AgiReader()
    reader.feed(HEADER)
    for byte in (data, data + b"\n", b"200 result=0\n"):
        reader.feed(byte)
    fresh = AgiReader()
    try:
        fresh.feed(b"agi_a: " + data + b"\n\n")
    except ProtocolBroken:
        pytest.fail("300 bytes are within every limit")


def as_asterisk_reads(line: bytes) -> list[bytes]:
    """Asterisk's parse_args (res_agi.c) in Python: the words of a command."""
    words: list[bytearray] = []
    quoted = escaped = False
    between = True
    for byte in line.rstrip(b"\n"):
        letter = bytes([byte])
        if letter == b'"' and not escaped:
            quoted = not quoted
            if quoted and between:
                words.append(bytearray())
                between = False
        elif letter in b" \t" and not quoted and not escaped:
            between = True
        elif letter == b"\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                words.append(bytearray())
                between = False
            words[-1] += letter
        escaped = False
    return [bytes(word) for word in words]


@given(st.lists(st.text(max_size=60), max_size=5))
def test_asterisk_reads_just_the_arguments_that_were_given(arguments: list[str]) -> None:
    line = command("SET VARIABLE", *arguments)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b"\r" not in line
    assert b"\0" not in line
    clean = [
        "".join(" " if ord(letter) < 32 or ord(letter) == 127 else letter for letter in argument)
        for argument in arguments
    ]
    expected = [argument.encode("utf-8", "replace") for argument in clean]
    assert as_asterisk_reads(line) == [b"SET", b"VARIABLE", *expected]


@pytest.mark.parametrize("verb", ["", "stream file", "SET\nVARIABLE", "EXEC ", 'SAY"'])
def test_a_verb_is_capital_words(verb: str) -> None:
    with pytest.raises(BadCommand):
        command(verb)


def test_a_command_that_asterisk_would_cut_is_refused() -> None:
    fits = MAX_COMMAND - len(b'EXEC ""\n')
    assert len(command("EXEC", "x" * fits)) == MAX_COMMAND
    with pytest.raises(BadCommand):
        command("EXEC", "x" * (fits + 1))
    with pytest.raises(BadCommand):
        command("EXEC", '"' * (fits // 2 + 1))
