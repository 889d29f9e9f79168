"""SIPp and its port: taken between the choice and the start, and taken for good."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from cti.pbx.asterisk_program import default_cache
from cti.telephone_network.sipp import Sipp, SippFailed, SippProgram, find_sipp, render_scenario

pytestmark = pytest.mark.asterisk

ADDRESS = "127.0.0.1"
NOWHERE = (ADDRESS, 9)
TELLS_ITS_PORT = """
import os, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as test:
    test.sendall(sys.argv[sys.argv.index("-p") + 1].encode() + b"\\n")
    test.recv(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Becomes SIPp when the test has heard which port it will take."""


async def test_a_port_that_another_takes_meanwhile_is_changed(tmp_path: Path) -> None:
    taken: list[socket.socket] = []

    async def take_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = int(await reader.readline())
        if not taken:
            taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            taken[0].bind((ADDRESS, port))
        writer.close()
        await writer.wait_closed()

    real = await asyncio.to_thread(find_sipp, default_cache(), lambda _: None)
    async with await asyncio.start_server(take_the_first, "127.0.0.1", 0) as server:
        at = str(server.sockets[0].getsockname()[1])
        program = SippProgram((sys.executable, "-c", TELLS_ITS_PORT, at, *real.command))
        sipp = Sipp(program, tmp_path, ADDRESS, NOWHERE)
        await sipp.start(render_scenario("crowd_phones", {}), lambda _: None)
    try:
        assert sipp.exit_code is None
        assert sipp.port != taken[0].getsockname()[1]
    finally:
        await sipp.kill()
        taken[0].close()


async def test_a_port_that_must_be_and_is_taken_is_told(tmp_path: Path) -> None:
    program = await asyncio.to_thread(find_sipp, default_cache(), lambda _: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((ADDRESS, 0))
        sipp = Sipp(program, tmp_path, ADDRESS, NOWHERE)
        with pytest.raises(SippFailed, match="Address already in use"):
            await sipp.start(
                render_scenario("crowd_phones", {}), lambda _: None, taken.getsockname()[1]
            )
        await sipp.kill()
