"""AMI framing: any cutting gives the same messages, and no bytes raise, hang or fill the memory."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cti.ami.framing import ALWAYS_WANTED, LEARN_AFTER, AmiFramer

pytestmark = pytest.mark.unit

GREETED = b"Asterisk Call Manager/11.0.0\r\n"


def read(data: bytes, wanted: frozenset[str] | None = None) -> list[dict[str, str]]:
    return AmiFramer(wanted).feed(data)


def test_a_message_is_a_plain_dict_with_the_names_as_asterisk_writes_them() -> None:
    messages = read(b"Event: Newchannel\r\nChannel: PJSIP/1001-00000001\r\nExten: 600\r\n\r\n")
    assert messages == [{"Event": "Newchannel", "Channel": "PJSIP/1001-00000001", "Exten": "600"}]
    assert type(messages[0]) is dict
    with pytest.raises(KeyError):
        messages[0]["Exten_"]


def test_the_banner_is_kept_beside_the_first_message() -> None:
    framer = AmiFramer()
    assert framer.feed(GREETED) == []
    assert framer.feed(b"Response: Success\r\nMessage: ok\r\n\r\n") == [
        {"Response": "Success", "Message": "ok"}
    ]
    assert framer.banner == "Asterisk Call Manager/11.0.0"


def test_the_banner_of_a_second_connection_in_a_recorded_stream_costs_nothing() -> None:
    stream = GREETED + b"Response: Success\r\n\r\n" + GREETED + b"Event: A\r\n\r\n"
    assert read(stream) == [{"Response": "Success"}, {"Event": "A"}]


def test_a_repeated_header_is_one_value_and_an_empty_one_is_empty() -> None:
    assert read(b"Event: A\r\nChanVariable: a=1\r\nChanVariable: b=2\r\nLast: \r\n\r\n") == [
        {"Event": "A", "ChanVariable": "a=1\nb=2", "Last": ""}
    ]
    assert read(b"Event: A\r\nChanVariable: a=1\r\nBare:\r\n\r\n") == [
        {"Event": "A", "ChanVariable": "a=1", "Bare": ""}
    ]


def test_a_command_answer_keeps_its_lines() -> None:
    [answer] = read(
        b"Response: Success\r\nActionID: 7\r\nMessage: Command output follows\r\n"
        b"Output: Name: value\r\nOutput: \r\nOutput:   2 calls\r\n\r\n"
    )
    assert answer["Output"].split("\n") == ["Name: value", "", "  2 calls"]


def test_only_wanted_events_are_parsed_but_answers_always_are() -> None:
    framer = AmiFramer(frozenset({"Hangup"}))
    framer.awaited.add("deskbell-1")
    always = b"".join(b"Event: %s\r\n\r\n" % name.encode() for name in sorted(ALWAYS_WANTED))
    messages = framer.feed(
        b"Event: VarSet\r\nVariable: X\r\n\r\n"
        b"Event: Hangup\r\nCause: 16\r\n\r\n"
        b"Event: Hangup\r\n\r\n"
        b"Event: HangupRequest\r\nCause: 16\r\n\r\n"
        b"Response: Success\r\n\r\n"
        b"Event: CoreShowChannel\r\nActionID: deskbell-1\r\nExten: 1\r\n\r\n"
        b"Event: QueueParams\r\nQueue: a\r\nActionID: deskbell-1\r\n\r\n"
        b"Event: CoreShowChannel\r\nActionID: deskbell-11\r\nExten: 1\r\n\r\n"
        b"Event: CoreShowChannel\r\nExten: ActionID: deskbell-1\r\n\r\n" + always
    )
    assert [message.get("Event", "Response") for message in messages] == [
        "Hangup",
        "Hangup",
        "Response",
        "CoreShowChannel",
        "QueueParams",
        *sorted(ALWAYS_WANTED),
    ]
    assert (framer.dropped, framer.parsed, framer.seen) == (4, len(messages), len(messages) + 4)
    assert framer.wants({"Event": "Hangup"})
    assert framer.wants({"Response": "Success"})
    assert not framer.wants({"Event": "QueueParams"})


@pytest.mark.parametrize("wanted", [None, frozenset({"VarSet", "A"})])
def test_an_event_can_be_wanted_only_with_certain_header_lines(
    wanted: frozenset[str] | None,
) -> None:
    lines = ["Variable: QUEUESTATUS", "Variable: DIALSTATUS"]
    framer = AmiFramer(wanted, only_with={"VarSet": lines})
    framer.awaited.add("mine")
    messages = framer.feed(
        b"Event: VarSet\r\nVariable: QUEUESTATUS\r\nValue: 1\r\n\r\n"
        b"Event: VarSet\r\nValue: 2\r\nVariable: DIALSTATUS\r\n\r\n"
        b"\r\nEvent: VarSet\r\nValue: 3\r\nVariable: DIALSTATUS\r\n\r\n"
        b"Event: VarSet\r\nActionID: mine\r\nVariable: X\r\nValue: 4\r\n\r\n"
        b"Event: VarSet\r\nVariable: QUEUESTATUS2\r\nValue: no\r\n\r\n"
        b"Event: VarSet\r\nVariable: X\r\nValue: Variable: QUEUESTATUS\r\n\r\n"
        b"\r\nEvent: VarSet\r\nVariable: X\r\nValue: no\r\n\r\n"
        b"Event: VarSet\r\n\r\n"
        b"Event: A\r\nVariable: X\r\n\r\n"
    )
    assert [message.get("Value") for message in messages] == ["1", "2", "3", "4", None]
    assert framer.dropped == 4
    assert [framer.wants(message) for message in messages] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ("张伟".encode(), "张伟"),
        ("مریم ☎ 🙂".encode(), "مریم ☎ 🙂"),
        ("\u202eمن".encode(), "\u202eمن"),
        (b"Jos\xe9", "José"),
        (b"a\nb\rc\n\nd", "a b c  d"),
        (b"a\x00b", "a\x00b"),
        (b"<b>: x: y", "<b>: x: y"),
        (b"x" * 10_000, "x" * 10_000),
        (b"Event: Hangup", "Event: Hangup"),
        (b" spaced ", " spaced "),
    ],
)
def test_a_hostile_value_stays_in_its_place(value: bytes, read_as: str) -> None:
    data = b"Event: A\r\nCallerIDName: " + value + b"\r\nExten: 600\r\n\r\n"
    assert read(data * 2) == [{"Event": "A", "CallerIDName": read_as, "Exten": "600"}] * 2


def test_a_latin_1_line_does_not_spoil_a_utf_8_line_of_the_same_message() -> None:
    data = b"Event: A\r\nCallerIDName: Jos\xe9\r\nQueue: " + "客服".encode() + b"\r\n\r\n"
    assert read(data) == [{"Event": "A", "CallerIDName": "José", "Queue": "客服"}]


def test_stray_line_ends_between_messages_do_not_desync() -> None:
    stream = b"Event: A\r\n\r\n\r\n\r\n\r\nEvent: B\r\n\r\n\n\nEvent: C\r\n\r\n\rEvent: D\r\n\r\n"
    assert [message["Event"] for message in read(stream)] == ["A", "B", "C", "D"]
    wanted = frozenset({"B", "D"})
    assert [message["Event"] for message in read(stream, wanted)] == ["B", "D"]


def test_what_is_neither_event_nor_response_is_counted_and_left_out() -> None:
    framer = AmiFramer()
    assert framer.feed(b"HTTP/1.1 400 Bad\r\n\r\nX: y\r\n\r\nEvent: A\r\nrubbish\r\n\r\n") == [
        {"Event": "A"}
    ]
    assert framer.malformed == 2


def test_a_message_beyond_the_limit_is_skipped_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    framer = AmiFramer(max_block=1000)
    fits = b"Event: A\r\nX: " + b"x" * (1000 - 13)
    assert len(fits) == 1000
    assert len(framer.feed(fits + b"\r\n\r\n")) == 1
    for byte in fits + b"\r\n\r\n":
        framer.feed(bytes([byte]))
    assert (framer.parsed, framer.oversized) == (2, 0)
    assert framer.feed(fits + b"x\r\n\r\nEvent: B\r\n\r\n") == [{"Event": "B"}]
    assert framer.feed(fits + b"x") == framer.feed(b"x" * 5000) == []
    assert framer.feed(b"\r\n\r\nEvent: C\r\n\r\n") == [{"Event": "C"}]
    assert framer.oversized == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_a_message_without_an_end_holds_no_memory() -> None:
    framer = AmiFramer(max_block=100_000)
    tracemalloc.start()
    try:
        for _ in range(1000):
            framer.feed(b"Event: A\r\n" + b"x" * 60_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert framer.feed(b"\r\n\r\nEvent: B\r\n\r\n") == [{"Event": "B"}]


def test_a_megabyte_in_one_message_is_read_when_it_fits() -> None:
    lines = b"".join(b"Output: line %d\r\n" % number for number in range(70_000))
    [answer] = read(b"Response: Success\r\n" + lines + b"\r\n")
    assert answer["Output"].count("\n") == 69_999
    [message] = read(b"Event: A\r\n" + lines.replace(b"Output", b"\xff\xfe") + b"\r\n")
    assert message["ÿþ"].endswith("line 69999")


def hostile_varieties() -> Iterator[bytes]:
    lines = [b"H%d: \r\n" % number for number in range(2020)]
    for length in range(2000, 2020):
        yield b"Event: E1\r\n" + b"".join(lines[:length]) + b"\r\n"
    for number in range(20_000):
        yield b"Event: E%d\r\nH%d: 1\r\n\r\n" % (number, number)
    for number in range(60):
        for length in range(1, 90):
            yield b"Event: E%d\r\n" % number + b"".join(lines[:length]) + b"\r\n"


@pytest.mark.parametrize("wanted", [None, frozenset(f"E{number}" for number in range(60))])
def test_hostile_varieties_of_headers_do_not_pile_up(wanted: frozenset[str] | None) -> None:
    framer = AmiFramer(wanted)
    told = list(hostile_varieties())
    tracemalloc.start()
    try:
        for data in told:
            framer.feed(data)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert framer.seen == len(told)
    assert held < 6_000_000  # 4 MB with all limits; without any one of them more than 7


def test_a_new_connection_starts_with_nothing_of_the_old() -> None:
    framer = AmiFramer()
    framer.feed(b"Event: A\r\nX: ")
    assert framer.mid_message
    framer.start_over()
    assert not framer.mid_message
    assert framer.feed(GREETED + b"Response: Success\r\n\r\n") == [{"Response": "Success"}]


def test_a_header_order_learnt_reads_every_value_as_before_it_was_learnt() -> None:
    framer = AmiFramer()
    values = ["1", "", "a: b", "José", "张", "x\ty", " ", ":", ": "]
    for _ in range(LEARN_AFTER + 2):
        for value in values:
            data = f"Event: A\r\nX: {value}\r\nY: 2\r\n\r\n".encode()
            assert framer.feed(data) == [{"Event": "A", "X": value, "Y": "2"}]
    assert framer.feed(b"Event: A\r\nX: J\xf6\r\nY: \r\n\r\n") == [
        {"Event": "A", "X": "Jö", "Y": ""}
    ]
    assert framer.feed(b"Event: A\r\nY: 1\r\nX: 2\r\n\r\n") == [{"Event": "A", "Y": "1", "X": "2"}]
    assert framer.feed(b"Event: A\r\nX: 1\r\nX: 2\r\n\r\n") == [{"Event": "A", "X": "1\n2"}]
    assert framer.feed(b"Event: A\r\nX: 1\n\r\nY\r\n\r\n") == [{"Event": "A", "X": "1 "}]


def test_a_message_with_repeated_headers_teaches_nothing() -> None:
    framer = AmiFramer()
    for _ in range(LEARN_AFTER * 2):
        assert framer.feed(b"Event: A\r\nX: 1\r\nX: 2\r\n\r\n") == [{"Event": "A", "X": "1\n2"}]
    assert framer.feed(b"Event: A\r\nX: 1\n2\r\n\r\n") == [{"Event": "A", "X": "1 2"}]


pieces = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\r\n\r\n\r\n",
        b": ",
        b":",
        b"Event: ",
        b"Event: A\r\n",
        b"Event: A\r\nX: 1\r\nY: 2\r\n\r\n",
        b"Event: Unwanted\r\nX: 1\r\n\r\n",
        b"Event: Unwanted\r\nActionID: mine\r\n\r\n",
        b"Response: Success\r\nMessage: ok\r\n\r\n",
        b"ChanVariable: a=1\r\n",
        GREETED,
        "张伟".encode(),
        b"\xe9\xff",
        b"\x00",
        b"x" * 300,
    ]
)
streams = st.lists(st.one_of(pieces, st.binary(max_size=8)), max_size=40).map(b"".join)


@given(
    stream=streams,
    cuts=st.lists(st.integers(0, 2000), max_size=30),
    wanted=st.sampled_from([None, frozenset({"A"})]),
    max_block=st.sampled_from([40, 400, 1 << 20]),
)
@example(stream=b"x" * 41 + b"\r\n\r\n", cuts=[44], wanted=None, max_block=40)
@example(stream=b"x" * 44 + b"\r\n\r\nEvent: A\r\n\r\n", cuts=[44, 47], wanted=None, max_block=40)
def test_however_the_stream_is_cut_the_messages_are_the_same(
    stream: bytes, cuts: list[int], wanted: frozenset[str] | None, max_block: int
) -> None:
    def counts(framer: AmiFramer) -> tuple[int, ...]:
        return framer.parsed, framer.dropped, framer.malformed, framer.oversized

    whole, cut, bytewise = (AmiFramer(wanted, max_block) for _ in range(3))
    for framer in (whole, cut, bytewise):
        framer.awaited.add("mine")
    expected = whole.feed(stream)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    parts = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert [message for part in parts for message in cut.feed(part)] == expected
    assert [message for byte in stream for message in bytewise.feed(bytes([byte]))] == expected
    assert counts(cut) == counts(bytewise) == counts(whole)
    assert cut.banner == bytewise.banner == whole.banner


values = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)


@given(
    messages=st.lists(
        st.dictionaries(st.from_regex(r"\A[A-Z][A-Za-z0-9-]{0,12}\Z"), values, max_size=8),
        max_size=12,
    )
)
def test_what_was_written_is_what_is_read(messages: list[dict[str, str]]) -> None:
    # Twice LEARN_AFTER, so that both ways of reading are taken.
    told = [
        {"Event": f"E{number % 3}", **{k: v for k, v in message.items() if k != "Event"}}
        for number, message in enumerate(messages)
    ] * (2 * LEARN_AFTER)
    data = "".join(
        "".join(f"{name}: {value}\r\n" for name, value in message.items()) + "\r\n"
        for message in told
    ).encode()
    assert read(data) == told


RECORDED = Path(__file__).parents[2] / "recorded"
# The `own` streams are the same calls once more, as filtered by Asterisk.
RECORDINGS = sorted(file for file in RECORDED.glob("*.ami") if ".own" not in file.name)


def read_simply(stream: bytes) -> list[dict[str, str]]:
    """Asterisk's own streams are tidy: reading them takes no more than this, if time is free."""
    messages = []
    for text in stream.decode().split("\r\n\r\n")[:-1]:
        message: dict[str, str] = {}
        for line in text.split("\r\n"):
            name, colon, value = line.partition(": ")
            if colon:
                message[name] = f"{message[name]}\n{value}" if name in message else value
        messages.append(message)
    return messages


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.stem)
def test_a_recorded_stream_reads_as_it_stands(recording: Path) -> None:
    stream = recording.read_bytes()
    framer = AmiFramer()
    # Several times, so that header orders are learnt; in odd pieces, so that messages are cut.
    for size in (len(stream), 997, 4096):
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [m for piece in pieces for m in framer.feed(piece)] == read_simply(stream)
    assert framer.malformed == framer.oversized == 0


def test_headers_that_nobody_reads_may_be_missing_but_never_from_an_answer() -> None:
    framer = AmiFramer(frozenset({"A"}), headers=frozenset({"Read"}))
    event = b"Event: A\r\nRead: 1\r\nUnread: 2\r\n\r\n"
    *_, learnt = framer.feed(event * (LEARN_AFTER + 2))
    assert learnt == {"Event": "A", "Read": "1"}
    answer = b"Event: A\r\nActionID: 7\r\nUnread: 2\r\nMore: 3\r\n\r\n"
    assert {len(message) for message in framer.feed(answer * (LEARN_AFTER + 2))} == {4}
