"""The embedded PBX as a process: start, death, stop, configuration; and the production path."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from cti.pbx.configuration import Secrets, render
from cti.pbx.embedded import AsteriskProgram, EmbeddedPbx, PbxFailed, PbxSettings, QueueConfig
from tests.asterisk_fixtures import CONFIGURATION, SharedPbx, agent_phone, network_of
from tests.cti.ami_owner import eventually

pytestmark = pytest.mark.asterisk


async def ami(pbx: EmbeddedPbx | SharedPbx, *actions: str) -> list[dict[str, str]]:
    """What Asterisk answers to a login and `actions`, until it closes the connection."""
    reader, writer = await asyncio.open_connection(pbx.ami_host, pbx.ami_port)
    login = f"Action: Login\r\nUsername: {pbx.ami_user}\r\nSecret: {pbx.ami_secret}"
    for action in (login, *actions, "Action: Logoff"):
        writer.write(action.encode() + b"\r\n\r\n")
    text = (await reader.read(-1)).decode()
    writer.close()
    blocks = text.partition("\r\n")[2].split("\r\n\r\n")
    return [
        dict(line.partition(": ")[::2] for line in block.split("\r\n")) for block in blocks if block
    ]


async def test_it_boots_with_nothing_to_complain_about(
    pbx_settings: PbxSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "asterisk"):
        async with EmbeddedPbx(pbx_settings) as pbx:
            assert "fully booted" in await pbx.console("core waitfullybooted")
            assert pbx.ami_secret not in caplog.text
            assert pbx.phone_account("1001")[1] not in caplog.text
    complaints = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in complaints] == []
    assert any(record.name == "asterisk" for record in caplog.records)


async def test_what_it_writes_is_for_its_owner_only(pbx: SharedPbx) -> None:
    assert stat.S_IMODE(pbx.folder.stat().st_mode) == 0o700
    for file in [pbx.folder / "secrets.json", *(pbx.folder / "etc").iterdir()]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_it_listens_on_loopback_only(pbx: SharedPbx) -> None:
    # Two more UDP sockets, on ports of the kernel's choice, only ask DNS (pjproject's resolver).
    ports = {pbx.sip_port: "SIP", pbx.ami_port: "AMI", pbx.http_port: "HTTP"}
    listening = {
        (ports.get(entry.laddr.port, "more"), entry.laddr.ip)
        for entry in psutil.Process(pbx.pid).net_connections()
        if entry.status == psutil.CONN_LISTEN or entry.laddr.port in ports
    }
    assert listening == {("SIP", "127.0.0.1"), ("AMI", "127.0.0.1"), ("HTTP", "127.0.0.1")}


async def test_it_is_started_again_on_the_same_ports_with_the_same_secrets(
    pbx_settings: PbxSettings,
) -> None:
    async with EmbeddedPbx(pbx_settings) as pbx:
        before = (pbx.pid, pbx.ami_port, pbx.sip_port, pbx.http_port, pbx.ami_secret)
        await pbx.kill()
        await asyncio.wait_for(pbx.booted.wait(), 30)
        assert (pbx.ami_port, pbx.sip_port, pbx.http_port, pbx.ami_secret) == before[1:]
        assert pbx.pid != before[0]
        assert pbx.restarts == 1
        assert (await ami(pbx))[0]["Response"] == "Success"
        async with network_of(pbx) as network:
            await agent_phone(network, pbx, "1001")
    secrets = json.loads((pbx_settings.folder / "secrets.json").read_text())
    async with EmbeddedPbx(pbx_settings) as again:
        assert again.ami_secret == secrets["ami"]


async def test_a_port_that_is_taken_is_named(pbx_settings: PbxSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PbxFailed, match=f"AMI port {port} on 127.0.0.1 is taken"):
            await EmbeddedPbx(replace(pbx_settings, ami_port=port)).start()


async def test_asterisk_dies_with_its_parent_even_by_kill_9(pbx_settings: PbxSettings) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from cti.pbx.embedded import EmbeddedPbx, PbxSettings\n"
        "async def main():\n"
        "    pbx = EmbeddedPbx(PbxSettings(folder=pathlib.Path(sys.argv[1])))\n"
        "    await pbx.start()\n"
        "    print(pbx.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - it is killed, not awaited
        [sys.executable, "-c", program, str(pbx_settings.folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as parent:
        assert parent.stdout is not None
        line = await asyncio.to_thread(parent.stdout.readline)
        asterisk = psutil.Process(int(line))
        parent.send_signal(signal.SIGKILL)
    _, alive = await asyncio.to_thread(psutil.wait_procs, [asterisk], timeout=10)
    assert not alive


async def test_reload_takes_new_queues_while_it_runs(pbx_settings: PbxSettings) -> None:
    async with EmbeddedPbx(pbx_settings) as pbx:
        queues = [*CONFIGURATION.queues, QueueConfig(name="fresh", number="655")]
        await pbx.reload(queues, CONFIGURATION.phones)
        while "fresh" not in await pbx.console("queue show"):
            pass
        assert "Queue(fresh" in await pbx.console("dialplan show 655@queue-numbers")
        assert pbx.restarts == 0


async def test_the_ami_user_may_steer_calls_and_read_but_not_write_the_configuration(
    pbx: SharedPbx, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.conf"
    elsewhere.write_text("[a]\nb = c\n")
    answers = await ami(
        pbx,
        "Action: QueueStatus\r\nActionID: may",
        "Action: CoreShowChannels\r\nActionID: may",
        # Class `system`, which MixMonitor asks for, lets this in as well.
        "Action: GetConfig\r\nFilename: manager.conf\r\nActionID: may",
        f"Action: GetConfig\r\nFilename: {elsewhere}\r\nActionID: not",
        "Action: Command\r\nCommand: core show uptime\r\nActionID: not",
        "Action: UpdateConfig\r\nSrcFilename: manager.conf\r\nDstFilename: manager.conf\r\n"
        "ActionID: not",
        "Action: CreateConfig\r\nFilename: new.conf\r\nActionID: not",
        "Action: AGI\r\nChannel: x\r\nCommand: ANSWER\r\nActionID: not",
    )
    responses = [
        (answer["ActionID"], answer["Response"])
        for answer in answers
        if "ActionID" in answer and "Response" in answer
    ]
    assert responses == [("may", "Success")] * 3 + [("not", "Error")] * 5
    assert not (pbx.folder / "etc" / "new.conf").exists()


async def test_the_ami_user_can_start_a_program_by_mixmonitor(
    pbx: SharedPbx, tmp_path: Path
) -> None:
    """As docs/asterisk.md warns; the application System, at least, is not there."""
    assert "not registered" in await pbx.console("core show application System")
    done = tmp_path / "done"
    await ami(
        pbx,
        f"Action: Originate\r\nChannel: Local/{CONFIGURATION.echo_number}@from-agents\r\n"
        f"Application: MixMonitor\r\nData: {tmp_path}/sound.wav,,touch {done}\r\nAsync: true",
    )
    await eventually(done.exists)


async def test_only_wanted_events_arrive_and_each_has_the_pbxs_time(pbx: SharedPbx) -> None:
    async with network_of(pbx) as network:
        reader, writer = await asyncio.open_connection(pbx.ami_host, pbx.ami_port)
        login = f"Action: Login\r\nUsername: {pbx.ami_user}\r\nSecret: {pbx.ami_secret}\r\n\r\n"
        writer.write(login.encode())
        await network.place_call("+8613800138000", "605", hold_seconds=None)
        call = await network.call("+8613800138000", "1005")
        await call.wait("answered")
        text = ""
        async with asyncio.timeout(10):
            while "Application: VoiceMail" not in text:
                text += (await reader.read(65_536)).decode()
        await call.hang_up()
        writer.close()
    events = [block for block in text.split("\r\n\r\n") if block.startswith("Event: ")]
    names = {block.partition("\r\n")[0] for block in events}
    assert {"Event: FullyBooted", "Event: Newchannel", "Event: QueueCallerAbandon"} <= names
    assert not {"Event: RTCPSent", "Event: MusicOnHoldStart"} & names
    for block in events:
        if not block.startswith("Event: FullyBooted"):  # Asterisk puts none on this one
            assert "\r\nTimestamp: " in block
        if block.startswith("Event: VarSet"):
            assert re.search(r"\r\nVariable: (QUEUESTATUS|QUEUE_PRIO)\r\n", block)
        if block.startswith("Event: Newexten"):
            assert "Application: VoiceMail\r\n" in block
    for name in ("QUEUESTATUS", "QUEUE_PRIO"):
        assert f"\r\nVariable: {name}\r\n" in text


class SystemAsterisk(EmbeddedPbx):
    """An Asterisk whose own files include ours, as docs/asterisk.md tells."""

    own: ClassVar = {
        "extensions": "[general]\nstatic = yes\n[default]\nexten => 555,1,Hangup()\n",
        "queues": "[general]\npersistentmembers = no\n[theirs]\nstrategy = ringall\n",
        "voicemail": "[general]\nformat = wav\n",
    }

    def _render(self) -> None:
        super()._render()
        folder = self.folder / "etc"
        ours = folder / "deskbell"
        own = dict(self.own)
        for name, first_section_of_ours in (("pjsip", "[phone](!)"), ("manager", "[deskbell]")):
            own[name] = (folder / f"{name}.conf").read_text().partition(first_section_of_ours)[0]
        render(self.configuration, ours, self._secrets, self.version)
        for name, text in own.items():
            (folder / f"{name}.conf").write_text(f"{text}\n#include deskbell/{name}.conf\n")


async def test_a_system_asterisk_includes_our_files(pbx_settings: PbxSettings) -> None:
    async with SystemAsterisk(pbx_settings) as pbx, network_of(pbx) as network:
        assert "theirs" in await pbx.console("queue show")
        assert "555" in await pbx.console("dialplan show default")
        assert (await ami(pbx))[0]["Response"] == "Success"
        lin = await agent_phone(network, pbx, "1001", answer_after=0)
        await pbx.console("queue add member PJSIP/1001 to service")
        call = await network.call("+8613800138000", "600")
        await call.hears(660)
        assert lin.calls[-1].caller == "+8613800138000"


async def test_a_cache_with_half_an_asterisk_is_told(tmp_path: Path) -> None:
    with pytest.raises(PbxFailed, match="remove that folder"):
        AsteriskProgram.unpacked(tmp_path)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first = Secrets(file)
    made = (first.ami, first.phone("1001"), first.phone("1002"), first.mailbox_pin("600"))
    again = Secrets(file)
    assert (again.ami, again.phone("1001"), again.phone("1002"), again.mailbox_pin("600")) == made
    assert len(set(made)) == 4
