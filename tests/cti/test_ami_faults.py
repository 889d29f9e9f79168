"""Each fault of bare panoramisk 1.4 that the link must not have, shown on both.

The half called `*_bare` fails on the day when panoramisk mends the fault: then the guard for it
in `cti/ami/connection.py` can be thought over. The other half is what Deskbell promises.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from panoramisk import Manager

from cti.ami.link import ActionFailed, ActionTimeout, AmiLink, LinkDown, LinkState
from tests.ami_server import AmiServer, error, event, success
from tests.cti.ami_owner import Owner, eventually, owning

pytestmark = pytest.mark.unit

A_MOMENT = 0.2
"""Seconds that an answer which is already on its way may take, for answers that never come."""

ORIGINATE = {"Channel": "PJSIP/1001", "Exten": "600", "Context": "from-agents", "Async": "true"}


class Bare:
    """panoramisk's Manager as its documentation uses it, with what its handlers were given."""

    def __init__(self, port: int, settings: dict[str, Any]) -> None:
        self.messages: list[Any] = []
        self.manager = Manager(
            loop=asyncio.get_running_loop(),
            host="127.0.0.1",
            port=port,
            username="deskbell",
            secret="secret",
            **{"reconnect_timeout": 0, **settings},
        )
        self.manager.register_event("*", lambda _, message: self.messages.append(message))

    def names(self) -> list[str]:
        return [message["event"] for message in self.messages]

    async def ask(self, action: dict[str, Any], **options: Any) -> Any:
        return await self.manager.send_action(action, **options)

    async def is_silent_on(self, action: dict[str, Any], **options: Any) -> bool:
        """True if the action's future stays open although the next action is answered."""
        asked = self.manager.send_action(action, **options)
        await self.ask({"Action": "Ping"})
        _, waiting = await asyncio.wait([asked], timeout=A_MOMENT)
        return bool(waiting)


@asynccontextmanager
async def bare(server: AmiServer, **settings: Any) -> AsyncIterator[Bare]:
    client = Bare(server.port, settings)
    client.manager.connect()
    await server.received("Login")
    await eventually(lambda: client.manager.authenticated or bool(server.refuse))
    try:
        yield client
    finally:
        client.manager.connect = lambda: None  # its way of closing would connect again
        client.manager.close()


@pytest.fixture
async def server() -> AsyncIterator[AmiServer]:
    async with AmiServer() as running:
        yield running


async def test_an_unanswered_originate_is_sent_again_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        asked = client.manager.send_action({"Action": "Originate", **ORIGINATE})
        await server.received("Originate")
        server.cut()
        first, second = await server.received("Originate", 2)
        assert first == second
        asked.cancel()


async def test_an_unanswered_originate_is_never_sent_again(server: AmiServer) -> None:
    async with owning(server) as client:
        asked = asyncio.create_task(client.link.action("Originate", **ORIGINATE))
        await server.received("Originate")
        server.cut()
        with pytest.raises(LinkDown) as down:
            await asked
        assert down.value.sent
        await server.received("Login", 2)
        await client.link.wait_up()
        await client.link.action("Ping")
        assert len(server.named("Originate")) == 1


INJECTED = "1\r\n\r\nAction: Originate\r\nActionID: evil\r\nChannel: PJSIP/1001"


async def test_a_line_end_in_a_value_is_a_second_action_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        asked = client.manager.send_action({"Action": "Ping", "X": INJECTED})
        [originate] = await server.received("Originate")
        assert originate["ActionID"] == "evil"
        asked.cancel()


@pytest.mark.parametrize("value", [INJECTED, "a\nb", "a\rb", "a\0b", ["a", "b\n"]])
async def test_a_line_end_in_a_value_sends_nothing(
    server: AmiServer, value: str | list[str]
) -> None:
    async with owning(server) as client:
        with pytest.raises(ValueError, match="line end"):
            await client.link.action("Setvar", Variable="X", Value=value)
        await client.link.action("Ping")
        assert {action["Action"] for action in server.actions} == {"Login", "Ping"}


async def test_line_ends_elsewhere_in_an_action_send_nothing(server: AmiServer) -> None:
    async with owning(server) as client:
        for name, headers in [
            ("Ping\r\nX: y", {}),
            ("Ping", {"X\r\nY": "y"}),
            ("Ping", {"X: y": "z"}),
            ("Ping", {"ActionID": "1\r\nX: y"}),
            ("Ping", {"Action": "Originate"}),
            ("Ping", {"action": "Originate"}),
        ]:
            with pytest.raises(ValueError, match=r"line end|name|ActionID"):
                await client.link.action(name, **headers)
        await client.link.action("Ping")
        assert {action["Action"] for action in server.actions} == {"Login", "Ping"}
        for user, secret in [("a\nb", "c"), ("a", "b\r\nc"), ("a\0", "b")]:
            with pytest.raises(ValueError, match="line end"):
                AmiLink(
                    "127.0.0.1",
                    server.port,
                    user,
                    secret,
                    wanted_events=None,
                    on_message=print,
                    on_up=client.link.wait_up,
                    on_down=print,
                )


def raising(client: Bare | Owner, name: str) -> Callable[..., None]:
    def handler(*arguments: Any) -> None:
        message = arguments[-1]
        client.messages.append(message)
        if message.get("Event") == name:
            raise RuntimeError("a fault in a handler")

    return handler


async def test_an_exception_in_a_handler_costs_the_link_and_the_rest_bare(
    server: AmiServer,
) -> None:
    async with bare(server) as client:
        client.manager.callbacks["*"] = [raising(client, "A")]
        await server.say(event("A") + event("B"))
        await server.connected(2)
        assert "A" in client.names()
        assert "B" not in client.names()


async def test_an_exception_in_a_handler_costs_that_message_only(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def handler(message: dict[str, str]) -> None:
        seen.append(message.get("Event", ""))
        if message.get("Event") == "A":
            raise RuntimeError("a fault in a handler")

    async with owning(server, on_message=handler) as client:
        await server.say(event("A") + event("B"))
        await eventually(lambda: "B" in seen)
        await client.link.action("Ping")
        assert server.connections == 1
        assert client.link.handler_errors == 1
    assert "a fault in a handler" in caplog.text


REPEATED = event("A") + b"Event: UserEvent\r\nActionID: 1\r\nActionID: 2\r\n\r\n" + event("B")


async def test_a_repeated_header_costs_the_link_and_the_rest_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        await server.say(REPEATED)
        await server.connected(2)
        assert "A" in client.names()
        assert "B" not in client.names()


async def test_a_repeated_header_costs_nothing(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.say(REPEATED)
        await client.got("B")
        assert client.names()[-3:] == ["A", "UserEvent", "B"]
        assert server.connections == 1


async def test_a_half_open_link_is_never_noticed_bare(server: AmiServer) -> None:
    async with bare(server, ping_delay=0, ping_interval=0):
        server.answers["ping"] = lambda _: None
        await server.received("Ping", 30)
        assert server.connections == 1


async def test_a_half_open_link_is_found_within_three_pings(server: AmiServer) -> None:
    async with owning(server, ping_interval=0.05) as client:
        server.answers["ping"] = lambda _: None
        answered = len(server.named("Ping"))
        await server.connected(2)
        pings = [action for action in server.heard[0] if action["Action"] == "Ping"]
        assert len(pings) - answered == 3
        await eventually(lambda: bool(client.causes))
        assert client.causes == ["no answer to 3 pings"]
        del server.answers["ping"]
        await client.link.wait_up()


async def test_an_action_is_waited_for_and_kept_for_ever_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        action = {"Action": "Status", "ActionID": "mine"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ask(action), timeout=0.05)
        assert "mine" in client.manager.responses


async def test_an_action_times_out_and_is_forgotten(server: AmiServer) -> None:
    async with owning(server, action_timeout=0.05) as client:
        with pytest.raises(ActionTimeout):
            await client.link.action("Status", ActionID="mine")
        assert "mine" not in client.link.framer.awaited
        server.answers["status"] = lambda action: success(action, "here")
        assert (await client.link.action("Status", ActionID="mine")).message == "here"


async def test_sending_while_offline_hangs_bare(server: AmiServer) -> None:
    async with bare(server, reconnect_timeout=60) as client:
        await server.stop()
        await eventually(lambda: bool(client.manager.protocol.closed))
        asked = client.manager.send_action({"Action": "Status"})
        _, waiting = await asyncio.wait([asked], timeout=A_MOMENT)
        assert waiting
        asked.cancel()


async def test_sending_while_offline_raises_at_once(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.stop()
        await eventually(lambda: client.link.state is LinkState.WAITING)
        with pytest.raises(LinkDown) as down:
            await client.link.action("Status")
        assert not down.value.sent
        await server.listen()
        await client.link.wait_up()
        assert server.named("Status") == []


async def test_a_refused_login_is_silent_and_tried_again_at_one_pace_bare(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.refuse = "Authentication failed"
    async with bare(server) as client:
        for count in range(2, 5):
            await client.manager.protocol.factory.authenticated_future
            server.cut()
            await server.received("Login", count)
    told = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert "Authentication failed" not in " ".join(record.getMessage() for record in told)
    waits = [record.getMessage() for record in told if "connect again" in record.getMessage()]
    assert len(waits) == 3
    assert len(set(waits)) == 1


async def test_a_refused_login_is_said_loudly_and_tried_again_ever_slower(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cti.ami.link")
    server.refuse = "Authentication failed"
    async with owning(server, backoff=(0.01, 60)) as client:
        await server.received("Login", 4)
        assert client.link.cause == "login refused: Authentication failed"
        await eventually(lambda: client.link.state is LinkState.REFUSED)
        told = [record for record in caplog.records if "again in" in record.getMessage()]
        assert "login refused: Authentication failed" in told[0].getMessage()
        levels = [record.levelno for record in told]
        assert levels == [logging.ERROR] + [logging.DEBUG] * (len(told) - 1)
        waits = [record.args[-1] for record in told if isinstance(record.args, tuple)]
        # Half of the wait is left to chance: the one after is at least as long.
        assert len(waits) >= 3
        assert waits == sorted(waits)
        assert waits[0] < waits[2]
        assert "secret" not in caplog.text
        assert client.causes == ["login refused: Authentication failed"]
        server.refuse = ""
        await client.link.wait_up()


async def test_queued_actions_wait_for_fully_booted_bare() -> None:
    async with AmiServer(fully_booted=False) as server, bare(server) as client:
        asked = client.manager.send_action({"Action": "QueuePause"})
        await server.received("QueuePause")
        server.cut()
        await server.received("Login", 2)
        await eventually(lambda: bool(client.manager.authenticated))
        await client.ask({"Action": "Ping"})
        assert list(client.manager.awaiting_actions)
        assert len(server.named("QueuePause")) == 1
        asked.cancel()


async def test_a_user_without_the_system_class_is_served_after_a_reconnect() -> None:
    async with AmiServer(fully_booted=False) as server:
        server.answers["queuepause"] = success
        async with owning(server, boot_wait=0.01) as client:
            server.cut()
            await server.received("Login", 2)
            await eventually(lambda: client.ups == 2)
            await client.link.action("QueuePause")


async def test_close_while_waiting_connects_again_bare(server: AmiServer) -> None:
    async with bare(server, reconnect_timeout=1) as client:
        server.cut()
        await eventually(lambda: bool(client.manager.protocol.closed))
        client.manager.close()
        await server.connected(2)


async def test_close_while_waiting_is_final(server: AmiServer) -> None:
    before = asyncio.all_tasks()
    async with owning(server, backoff=(60, 60)) as client:
        server.cut()
        await eventually(lambda: client.link.state is LinkState.WAITING)
        await client.link.close()
        await eventually(lambda: asyncio.all_tasks() <= before)
        assert client.link.state is LinkState.CLOSED
        with pytest.raises(RuntimeError):
            client.link.start()
        with pytest.raises(LinkDown):
            await client.link.action("Ping")


async def test_an_error_to_a_list_action_is_never_told_bare(server: AmiServer) -> None:
    server.answers["queuestatus"] = lambda action: error(action, "Permission denied")
    async with bare(server) as client:
        assert await client.is_silent_on({"Action": "QueueStatus"}, as_list=True)


async def test_an_error_to_a_list_action_is_told(server: AmiServer) -> None:
    server.answers["queuestatus"] = lambda action: error(action, "Permission denied")
    async with owning(server) as client:
        with pytest.raises(ActionFailed, match="Permission denied"):
            await client.link.list_action("QueueStatus")


async def test_the_answer_to_queue_add_is_never_told_bare(server: AmiServer) -> None:
    server.answers["queueadd"] = lambda action: success(action, "Added interface to queue")
    async with bare(server) as client:
        assert await client.is_silent_on({"Action": "QueueAdd", "Queue": "sales"})


async def test_the_answer_to_queue_add_is_told(server: AmiServer) -> None:
    server.answers["queueadd"] = lambda action: success(action, "Added interface to queue")
    async with owning(server) as client:
        answer = await client.link.action("QueueAdd", Queue="sales", Interface="PJSIP/1001")
        assert answer.message == "Added interface to queue"


def originated(action: dict[str, str]) -> bytes:
    outcome = event(
        "OriginateResponse", ActionID=action["ActionID"], Response="Failure", Reason="5"
    )
    return success(action, "Originate successfully queued") + outcome


async def test_an_originate_response_never_reaches_handlers_bare(server: AmiServer) -> None:
    server.answers["originate"] = originated
    async with bare(server) as client:
        await client.ask({"Action": "Originate", **ORIGINATE})
        await server.say(event("Later"))
        await eventually(lambda: "Later" in client.names())
        assert "OriginateResponse" not in client.names()


async def test_an_originate_response_reaches_the_owner(server: AmiServer) -> None:
    server.answers["originate"] = originated
    async with owning(server, wanted_events=frozenset({"Hangup"})) as client:
        answer = await client.link.action("Originate", **ORIGINATE)
        assert answer.message == "Originate successfully queued"
        await client.got("OriginateResponse")
        [outcome] = [m for m in client.messages if m.get("Event") == "OriginateResponse"]
        assert outcome["ActionID"] == answer.headers["ActionID"]


NAMED = "Event: B\r\nCallerIDName: 张伟\r\n\r\n".encode()


async def say_in_two_reads(
    server: AmiServer, data: bytes, cut: int, first_read: Callable[[], bool]
) -> None:
    await server.say(event("A") + data[:cut])
    await eventually(first_read)
    await server.say(data[cut:])


async def test_a_letter_cut_by_a_read_is_lost_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        cut = NAMED.index("张".encode()) + 1
        await say_in_two_reads(server, NAMED, cut, lambda: "A" in client.names())
        await eventually(lambda: "B" in client.names())
        assert client.messages[-1]["CallerIDName"] != "张伟"


async def test_a_letter_cut_by_a_read_is_whole(server: AmiServer) -> None:
    async with owning(server) as client:
        cut = NAMED.index("张".encode()) + 1
        await say_in_two_reads(server, NAMED, cut, lambda: "A" in client.names())
        await client.got("B")
        assert client.messages[-1]["CallerIDName"] == "张伟"


LATIN_1 = b"Event: B\r\nCallerIDName: Jos\xe9\r\n\r\n"


async def test_a_latin_1_letter_is_lost_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        await server.say(LATIN_1)
        await eventually(lambda: "B" in client.names())
        assert client.messages[-1]["CallerIDName"] == "Jos"


async def test_a_latin_1_letter_is_read(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.say(LATIN_1)
        await client.got("B")
        assert client.messages[-1]["CallerIDName"] == "José"


async def test_an_empty_last_header_disappears_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        await server.say(b"Event: B\r\nAccountCode: \r\n\r\n")
        await eventually(lambda: "B" in client.names())
        assert "AccountCode" not in client.messages[-1]


async def test_an_empty_last_header_is_there(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.say(b"Event: B\r\nAccountCode: \r\n\r\n")
        await client.got("B")
        assert client.messages[-1]["AccountCode"] == ""


ONE_AND_TWO = (
    b"Event: A\r\nChanVariable: a=1\r\n\r\n"
    b"Event: B\r\nChanVariable: a=1\r\nChanVariable: b=2\r\n\r\n"
)


async def test_one_channel_variable_is_text_and_two_are_a_list_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        await server.say(ONE_AND_TWO)
        await eventually(lambda: "B" in client.names())
        kinds = [type(message["ChanVariable"]) for message in client.messages[-2:]]
        assert kinds == [str, list]


async def test_one_and_two_channel_variables_look_the_same(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.say(ONE_AND_TWO)
        await client.got("B")
        values = [message["ChanVariable"] for message in client.messages[-2:]]
        assert [value.split("\n") for value in values] == [["a=1"], ["a=1", "b=2"]]


async def test_coroutine_handlers_run_out_of_order_all_at_once_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        started: list[str] = []
        ended: list[str] = []
        last = asyncio.Event()

        async def handler(_: Manager, message: Any) -> None:
            started.append(message["event"])
            if message["event"] == "Last":
                last.set()
            else:
                await last.wait()
            ended.append(message["event"])

        client.manager.callbacks["*"] = [handler]
        await server.say(event("First") * 2000 + event("Last"))
        await eventually(lambda: len(ended) == 2001)
        assert len(started) == 2001
        assert ended[0] == "Last"


async def test_messages_are_handed_on_in_the_order_of_their_bytes(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.say(b"".join(event("A", Number=str(number)) for number in range(2000)))
        await server.say(event("Last"))
        await client.got("Last")
        numbers = [message["Number"] for message in client.messages if "Number" in message]
        assert numbers == [str(number) for number in range(2000)]


async def test_a_message_without_an_end_fills_the_memory_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        await server.say(b"Event: A\r\nX: " + b"x" * 5_000_000)
        await eventually(lambda: sum(map(len, client.manager.protocol.queue)) > 5_000_000)


async def test_a_message_without_an_end_is_given_up_and_the_next_one_read(
    server: AmiServer,
) -> None:
    async with owning(server, max_block=100_000) as client:
        await server.say(b"Event: A\r\nX: " + b"x" * 5_000_000)
        await server.say(b"\r\n\r\n" + event("B"))
        await client.got("B")
        assert "A" not in client.names()
        assert client.link.framer.oversized == 1
        assert server.connections == 1


async def test_every_pattern_is_tried_on_every_event_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        tried: list[str] = []

        class Pattern:
            def match(self, name: str) -> None:
                tried.append(name)

        client.manager.patterns += [("Unrelated", Pattern())] * 50
        await server.say(event("A"))
        await eventually(lambda: "A" in client.names())
        assert tried.count("A") == 50


async def test_an_event_that_nobody_wants_is_not_even_parsed(server: AmiServer) -> None:
    async with owning(server, wanted_events=frozenset({"B"})) as client:
        parsed = client.link.framer.parsed
        await server.say(event("A") * 100 + event("B"))
        await client.got("B")
        assert "A" not in client.names()
        assert client.link.framer.dropped == 100
        assert client.link.framer.parsed - parsed <= 2  # B, and perhaps a pong


async def test_a_misspelt_header_reads_as_nothing_bare(server: AmiServer) -> None:
    async with bare(server) as client:
        await server.say(event("A", Exten="600"))
        await eventually(lambda: "A" in client.names())
        assert client.messages[-1].extne == ""


async def test_a_misspelt_header_is_an_error(server: AmiServer) -> None:
    async with owning(server) as client:
        await server.say(event("A", Exten="600"))
        await client.got("A")
        with pytest.raises(KeyError):
            client.messages[-1]["Extne"]
