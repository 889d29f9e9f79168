"""The service is killed, or stopped, while somebody is in its phone menu: people take over."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from cti.pbx.configuration import PhoneMenusConfig
from cti.pbx.embedded import free_port
from tests.service_fixtures import (
    RunningService,
    mall_pbx,
    mall_template,
    mall_url,
    menu_sounds,
)

__all__ = ["mall_template", "mall_url"]

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_caller_in_the_menu_comes_to_people_and_the_next_one_to_the_menu_again(
    mall_url: str, tmp_path: Path, end: str
) -> None:
    key, port = secrets.token_hex(16), free_port("127.0.0.1")
    menus = PhoneMenusConfig(host="127.0.0.1", port=port, key=key, numbers=("610",), fallback="603")
    told = {"DESKBELL_MENUS_PORT": str(port), "DESKBELL_MENUS_KEY": key}
    async with (
        await mall_pbx(tmp_path / "pbx", mall_url, menus=menus) as pbx,
        RunningService(tmp_path / "service", mall_url, external=pbx, environment=told) as service,
        service.network() as network,
    ):

        async def says(command: str, words: str) -> None:
            async with asyncio.timeout(30):
                while words not in (await pbx.console(command)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

        await menu_sounds(service)
        caller = await network.call("+4915112380001", "610")
        await says("core show channels concise", "!AGI!")
        await caller.wait("answered")
        await caller.audio.next_heard(0.5)
        await (service.kill() if end == "kill" else service.stop())
        await says("queue show information", "1. PJSIP/trunk")
        assert caller.state == "answered"
        await service.start()
        await network.call("+4915112380002", "610")
        await says("core show channels concise", "!AGI!")
