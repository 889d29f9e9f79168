"""The AMI link: its promises of order, recovery, booting, answers, and of a life without end."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cti.ami.actions import MAX_ACTION_LINE, write_headers
from cti.ami.framing import AmiFramer
from cti.ami.link import ActionFailed, ActionTimeout, LinkDown, LinkState
from tests.ami_server import AmiServer, block, error, event, event_list, success
from tests.cti.ami_owner import Owner, eventually, owning

pytestmark = pytest.mark.unit


@pytest.fixture
async def server() -> Any:
    async with AmiServer() as running:
        yield running


CHANNELS = [{"Channel": "PJSIP/1001-1"}, {"Channel": "PJSIP/1002-2"}]


async def test_a_list_is_gathered_and_news_between_its_items_reach_the_owner(
    server: AmiServer,
) -> None:
    def answer(action: dict[str, str]) -> bytes:
        start, first, *rest = event_list(action, "CoreShowChannel", CHANNELS).split(b"\r\n\r\n")
        return b"\r\n\r\n".join([start, first, event("Hangup").strip(), *rest])

    server.answers["coreshowchannels"] = answer
    async with owning(server, wanted_events=frozenset({"Hangup"})) as owner:
        channels = await owner.link.list_action("CoreShowChannels")
        assert [channel["Channel"] for channel in channels] == ["PJSIP/1001-1", "PJSIP/1002-2"]
        assert owner.names() == ["FullyBooted", "Hangup"]


async def test_the_end_of_a_list_without_a_list_header_is_known_by_its_name(
    server: AmiServer,
) -> None:
    server.answers["parkedcalls"] = lambda action: (
        success(action, "Parked calls will follow")
        + event("ParkedCall", ActionID=action["ActionID"])
        + event("ParkedCallsComplete", ActionID=action["ActionID"])
    )
    async with owning(server) as owner:
        assert [item["Event"] for item in await owner.link.list_action("ParkedCalls")] == [
            "ParkedCall"
        ]


async def test_the_end_of_a_list_is_known_by_its_list_header_whatever_its_name(
    server: AmiServer,
) -> None:
    server.answers["agents"] = lambda action: (
        success(action, EventList="start")
        + event("Agents", ActionID=action["ActionID"])
        + event("ThatWasAll", ActionID=action["ActionID"], EventList="Complete")
    )
    async with owning(server) as owner:
        assert [item["Event"] for item in await owner.link.list_action("Agents")] == ["Agents"]


async def test_a_refused_list_is_refused_whatever_its_words(server: AmiServer) -> None:
    server.answers["agents"] = lambda action: error(action, "No list will follow")
    async with owning(server) as owner:
        with pytest.raises(ActionFailed, match="No list will follow"):
            await owner.link.list_action("Agents")


async def test_a_list_that_is_a_plain_success_is_empty(server: AmiServer) -> None:
    server.answers["voicemailuserslist"] = lambda action: success(
        action, "There are no voicemail users currently defined."
    )
    async with owning(server) as owner:
        assert await owner.link.list_action("VoicemailUsersList") == []


async def test_a_list_that_stops_half_way_times_out(server: AmiServer) -> None:
    server.answers["queuestatus"] = lambda action: success(action, EventList="start")
    async with owning(server, list_timeout=0.05) as owner:
        with pytest.raises(ActionTimeout):
            await owner.link.list_action("QueueStatus")
        with pytest.raises(ActionTimeout):
            await owner.link.list_action("QueueStatus", 0.01)


async def test_the_owner_gets_what_a_framer_reads_from_the_record(server: AmiServer) -> None:
    wanted = frozenset({"Hangup", "CoreShowChannel"})
    server.answers["coreshowchannels"] = lambda action: event_list(
        action, "CoreShowChannel", CHANNELS
    )
    server.answers["queuestatus"] = lambda action: event_list(action, "QueueMember", [{}])
    record = io.BytesIO()
    async with owning(server, wanted_events=wanted, record=record) as owner:
        await owner.link.list_action("CoreShowChannels")
        await owner.link.list_action("QueueStatus")
        await server.say(event("VarSet") + event("Hangup", Cause="16"))
        await owner.got("Hangup")
        assert owner.messages == AmiFramer(wanted).feed(record.getvalue())
        assert {"CoreShowChannel", "Hangup"} <= set(owner.names())
        assert "QueueMember" not in owner.names()
        assert b"secret" not in record.getvalue()


async def test_a_message_cut_by_the_end_of_the_link_is_never_half_told(server: AmiServer) -> None:
    record = io.BytesIO()
    async with owning(server, record=record) as owner:
        await server.say(event("A") + b"Event: Hangup\r\nChannel: PJSIP/10")
        await owner.got("A")
        server.cut()
        await eventually(lambda: owner.ups == 2)
        await server.say(event("B"))
        await owner.got("B")
        assert "Hangup" not in owner.names()
        # In the record a blank line ends it, so that the next greeting is not taken for its value.
        messages = AmiFramer().feed(record.getvalue())
        [half] = [message for message in messages if message.get("Event") == "Hangup"]
        assert half == {"Event": "Hangup", "Channel": "PJSIP/10"}
        assert [message for message in messages if message != half] == owner.messages


async def test_a_record_that_cannot_be_written_ends_and_the_link_does_not(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    record = io.BytesIO()
    async with owning(server, record=record) as owner:
        record.close()
        await server.say(event("A") + event("B"))
        await owner.got("B")
        assert server.connections == 1
    assert "record" in caplog.text


async def test_an_action_is_written_as_asterisk_reads_it(server: AmiServer) -> None:
    server.answers["originate"] = success
    async with owning(server) as owner:
        await owner.link.action(
            "Originate",
            Channel="PJSIP/1001",
            Timeout=30000,
            EarlyMedia=False,
            Variable=["A=1", "B=张"],
            ActionID="order-7",
        )
        [originate] = server.named("Originate")
        assert originate == {
            "Action": "Originate",
            "Channel": "PJSIP/1001",
            "Timeout": "30000",
            "EarlyMedia": "false",
            "Variable": "A=1\nB=张",
            "Async": "true",
            "ActionID": "order-7",
        }


async def test_a_command_gives_its_lines(server: AmiServer) -> None:
    server.answers["command"] = lambda action: block(
        ("Response", "Success"),
        ("ActionID", action["ActionID"]),
        ("Message", "Command output follows"),
        ("Output", "first: 1"),
        ("Output", ""),
        ("Output", "last"),
    )
    async with owning(server) as owner:
        answer = await owner.link.action("Command", Command="core show uptime")
        assert answer.output == ["first: 1", "", "last"]
        assert (await owner.link.action("Ping")).output == []


async def test_a_refusal_is_raised_with_asterisks_reason(server: AmiServer) -> None:
    server.answers["queuepause"] = lambda action: error(action, "Interface not found")
    server.answers["queueadd"] = error
    async with owning(server) as owner:
        with pytest.raises(ActionFailed, match="Interface not found") as failed:
            await owner.link.action("QueuePause", Interface="PJSIP/1", Paused=True)
        assert failed.value.headers["Response"] == "Error"
        with pytest.raises(ActionFailed, match="no reason given"):
            await owner.link.action("QueueAdd", Queue="sales")


async def test_what_asterisk_would_not_read_whole_is_refused(server: AmiServer) -> None:
    async with owning(server) as owner:
        fits = "x" * (MAX_ACTION_LINE - len("Value: "))
        with pytest.raises(ValueError, match="longer"):
            await owner.link.action("Ping", Value=fits + "x")
        with pytest.raises(ValueError, match="longer"):
            await owner.link.action("Ping", Value="张" * 340)
        with pytest.raises(ValueError, match="more headers"):
            await owner.link.action("Ping", Variable=["a=1"] * 127)
        with pytest.raises(ValueError, match="surrogates"):
            await owner.link.action("Ping", Value="\ud800")
        await owner.link.action("Ping", Value=fits)
        assert [ping for ping in server.named("Ping") if ping.get("Value") == fits]


async def test_an_action_id_waits_for_one_answer_at_a_time(server: AmiServer) -> None:
    async with owning(server) as owner:
        first = asyncio.create_task(owner.link.action("Status", ActionID="mine"))
        await server.received("Status")
        with pytest.raises(ValueError, match="already waits"):
            await owner.link.action("Status", ActionID="mine")
        with pytest.raises(ValueError, match="visible ASCII"):
            await owner.link.action("Status", ActionID="two words")
        await server.say(block(("Response", "Success"), ("ActionID", "mine")))
        await first
        assert len(server.named("Status")) == 1


async def test_many_actions_at_once_get_each_its_own_answer(server: AmiServer) -> None:
    server.answers["getvar"] = lambda action: success(action, Value=action["Variable"])
    async with owning(server) as owner:
        answers = await asyncio.gather(
            *(owner.link.action("Getvar", 30, Variable=f"v{n}") for n in range(1000))
        )
        assert [answer.headers["Value"] for answer in answers] == [f"v{n}" for n in range(1000)]


async def test_an_answer_that_comes_too_late_disturbs_nobody(server: AmiServer) -> None:
    async with owning(server) as owner:
        with pytest.raises(ActionTimeout):
            await owner.link.action("Status", 0.01, ActionID="late")
        await server.say(block(("Response", "Success"), ("ActionID", "late")) + event("A"))
        await owner.got("A")
        await owner.link.action("Ping")
        assert server.connections == 1


async def test_a_cancelled_action_disturbs_nobody(server: AmiServer) -> None:
    async with owning(server) as owner:
        asked = asyncio.create_task(owner.link.action("Status", ActionID="mine"))
        await server.received("Status")
        asked.cancel()
        await asyncio.wait([asked])
        await server.say(block(("Response", "Success"), ("ActionID", "mine")))
        await owner.link.action("Ping")


async def test_the_owner_rebuilds_by_list_actions_before_the_link_is_up(server: AmiServer) -> None:
    server.answers["coreshowchannels"] = lambda action: event_list(
        action, "CoreShowChannel", CHANNELS
    )
    rebuilt: list[int] = []
    states: list[LinkState] = []

    async def rebuild() -> None:
        states.append(owner.link.state)
        rebuilt.append(len(await owner.link.list_action("CoreShowChannels")))

    owner = Owner(server.port, {"on_up": rebuild})
    owner.link.start()
    await owner.link.wait_up()
    server.cut()
    await eventually(lambda: len(rebuilt) == 2 and owner.link.state is LinkState.UP)
    assert rebuilt == [2, 2]
    assert set(states) == {LinkState.REBUILDING}
    assert owner.link.logins == 2
    assert owner.link.cause == ""
    await owner.link.close()


@pytest.mark.parametrize("fault", [RuntimeError("no"), asyncio.CancelledError()])
async def test_a_rebuilding_that_fails_is_done_again_on_a_new_connection(
    server: AmiServer, fault: BaseException
) -> None:
    faults = [fault, fault]

    async def rebuild() -> None:
        if faults:
            raise faults.pop()

    async with owning(server, on_up=rebuild) as owner:
        assert server.connections == 3
        assert owner.causes == [f"the model could not be rebuilt: {type(fault).__name__}"]


async def test_a_link_lost_while_rebuilding_ends_the_rebuilding(server: AmiServer) -> None:
    ended: list[BaseException] = []

    async def rebuild() -> None:
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            ended.append(error)
            raise

    owner = Owner(server.port, {"on_up": rebuild})
    owner.link.start()
    await eventually(lambda: owner.link.state is LinkState.REBUILDING)
    server.cut()
    await server.connected(2)
    assert len(ended) == 1
    await eventually(lambda: owner.link.state is LinkState.REBUILDING)
    await owner.link.close()
    assert len(ended) == 2


async def test_the_owner_is_called_when_asterisk_has_booted(server: AmiServer) -> None:
    server.fully_booted = False
    owner = Owner(server.port, {"boot_wait": 60})
    owner.link.start()
    await eventually(lambda: owner.link.round_trip is not None)
    assert owner.link.state is LinkState.BOOTING
    assert owner.ups == 0
    await server.say(event("FullyBooted"))
    await owner.link.wait_up()
    assert owner.ups == 1
    await owner.link.close()


async def test_an_asterisk_that_boots_after_the_wait_has_the_model_rebuilt_again(
    server: AmiServer,
) -> None:
    server.fully_booted = False
    async with owning(server, boot_wait=0.01) as owner:
        assert owner.ups == 1
        await server.say(event("FullyBooted"))
        await eventually(lambda: owner.ups == 2)
        await owner.link.wait_up()
        assert server.connections == 1


async def test_a_pbx_that_is_not_there_is_waited_for(server: AmiServer) -> None:
    await server.stop()
    owner = Owner(server.port, {})
    owner.link.start()
    await eventually(lambda: bool(owner.causes))
    assert owner.causes[0].startswith("no connection: ")
    with pytest.raises(LinkDown, match="no connection"):
        await owner.link.action("Ping")
    await server.listen()
    await owner.link.wait_up()
    assert len(owner.causes) == 1
    await owner.link.close()


async def test_a_pbx_that_stays_away_is_one_line_in_the_log(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    await server.stop()
    owner = Owner(server.port, {"backoff": (0.001, 0.002)})
    with caplog.at_level(logging.DEBUG, "cti.ami.link"):
        owner.link.start()
        await eventually(lambda: caplog.text.count("no connection: ") >= 5)
    await owner.link.close()
    tried = [record for record in caplog.records if "no connection: " in record.getMessage()]
    assert [record.levelno > logging.DEBUG for record in tried] == [True] + [False] * (
        len(tried) - 1
    )


async def test_each_loss_of_the_link_is_told_with_its_cause(server: AmiServer) -> None:
    async with owning(server) as owner:
        for count in (1, 2):
            await server.say(event("Shutdown", Restart="False"))
            await eventually(lambda: owner.names().count("Shutdown") == count)  # noqa: B023
            server.cut()
            await eventually(lambda: owner.ups == count + 1)  # noqa: B023
        server.cut()
        await eventually(lambda: owner.ups == 4)
        assert owner.causes[:2] == ["Asterisk shut down"] * 2
        assert len(owner.causes) == 3
        assert owner.causes[2] != "Asterisk shut down"


async def test_an_owner_that_fails_to_hear_of_the_loss_is_connected_again(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("a fault in on_down")

    async with owning(server, on_down=fail) as owner:
        server.cut()
        await eventually(lambda: owner.ups == 2)
    assert "a fault in on_down" in caplog.text


async def test_a_port_that_is_no_ami_is_said_and_tried_again(server: AmiServer) -> None:
    server.silent = True
    owner = Owner(server.port, {"connect_timeout": 0.05})
    owner.link.start()
    await server.connected(3)
    assert owner.link.cause == "no answer to the login within 0.05 s: is this an AMI port?"
    server.silent = False
    await owner.link.wait_up()
    await owner.link.close()


async def test_closing_ends_the_actions_under_way(server: AmiServer) -> None:
    async with owning(server) as owner:
        asked = asyncio.create_task(owner.link.action("Status"))
        await server.received("Status")
        await owner.link.close()
        with pytest.raises(LinkDown, match="closed") as down:
            await asked
        assert down.value.sent
        assert owner.link.state is LinkState.CLOSED
        assert owner.causes == []


async def test_closing_leaves_nothing_at_whatever_point_it_comes(server: AmiServer) -> None:
    states = set()
    steps = 0
    while LinkState.UP not in states:
        owner = Owner(server.port, {})
        owner.link.start()
        for _ in range(steps):
            await asyncio.sleep(0)
        states.add(owner.link.state)
        await owner.link.close()
        assert owner.link.state is LinkState.CLOSED
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if "cti/ami" in repr(task)]
        steps += 1
    assert {LinkState.CONNECTING, LinkState.LOGGING_IN} <= states


async def test_closing_before_the_start_and_twice_is_allowed(server: AmiServer) -> None:
    owner = Owner(server.port, {})
    await owner.link.close()
    await owner.link.close()
    assert owner.link.state is LinkState.CLOSED
    with pytest.raises(RuntimeError):
        owner.link.start()


async def test_no_secret_and_no_personal_data_reach_the_log(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def fail(message: dict[str, str]) -> None:
        raise KeyError("Channel")

    async with owning(server, on_message=fail) as owner:
        await server.say(event("Newchannel", CallerIDNum="+8613800138000", CallerIDName="Zhang"))
        errors = owner.link.handler_errors
        await eventually(lambda: owner.link.handler_errors > errors)
        server.cut()
        await eventually(lambda: owner.ups == 2)
    logged = caplog.text
    assert "a handler failed" in logged
    for private in ("secret", "13800138000", "Zhang"):
        assert private not in logged


HOSTILE = [
    b"\x00" * 10_000 + b"\r\n\r\n",
    b"Event: A\r\n" + b"N" * 10_000 + b": x\r\n\r\n",
    b"Event: " + b"E" * 10_000 + b"\r\n\r\n",
    b"Event: A\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"Event: A\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    b"Response: Success\r\nActionID: nobody's\r\n\r\n",
    b"Event: A\r\nActionID: \xff\xfe\r\n\r\n",
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "Event: A\r\nCallerIDName: <script>\u202e🙂\r\n\r\n".encode(),
    b"Event: Shutdown\r\n\r\n",
    b"Ping: Pong\r\n\r\n",
    b"\r\n\r\n\r\n\r\n\n\n\r\r",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_rubbish_from_the_other_side_disturbs_nothing(
    server: AmiServer, hostile: bytes
) -> None:
    async with owning(server) as owner:
        await server.say(hostile)
        await server.say(b"\r\n\r\n" + event("Last"))
        await owner.got("Last")
        await owner.link.action("Ping")
        assert server.connections == 1


header_values = st.text(max_size=60)


@given(values=st.lists(header_values, max_size=4), name=st.text(max_size=12))
def test_an_action_is_one_message_whatever_its_values(values: list[str], name: str) -> None:

    assume(name not in {"Action", "Value"})
    try:
        written = write_headers({"Action": "Setvar", name: values, "Value": values})
    except ValueError:
        return
    lines = written.split(b"\r\n")
    assert lines.pop() == b""
    expected = [f"{header}: {value}" for header in (name, "Value") for value in values]
    assert [line.decode() for line in lines] == ["Action: Setvar", *expected]
    assert written.count(b"\n") == written.count(b"\r") == len(lines)
