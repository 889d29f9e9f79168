"""What a supervisor sets reaches a running Asterisk, without a restart and without a sign-out."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from crm_store.models import PhoneKind
from crm_store.staff import agents, queues
from cti.pbx.embedded import free_port
from deskbell.config import load_settings
from deskbell.service import Service
from tests.service_fixtures import mall_template, mall_url, until

__all__ = ["mall_template", "mall_url"]

pytestmark = pytest.mark.asterisk


async def test_what_is_set_reaches_asterisk(
    mall_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "deskbell.toml"
    file.write_text(
        f'[desk]\nport = {free_port("127.0.0.1")}\n[store]\nurl = "{mall_url}"\n'
        f'[pbx]\nfolder = "pbx"\nsip_port = {free_port("127.0.0.1", socket.SOCK_DGRAM)}\n'
        f"trunk_port = {free_port('127.0.0.2', socket.SOCK_DGRAM)}\n"
    )
    async with Service(load_settings(file)) as service:
        (pbx,) = service.embedded.values()
        (board,) = service.switchboards.values()
        await board.agents.sign_in("chief", ["sales", "vip"])
        await until(lambda: len(board.queues.places_of("chief")) == 2)
        # Own penalty 5, and a skill at its best.
        assert "with penalty 5" in await pbx.console("queue show vip")
        assert await service.apply_settings() == ""
        vip = await queues.find(service.database, "vip")
        assert vip is not None
        async with service.database.transaction() as transaction:
            await queues.save(transaction, replace(vip, strategy="linear", number="642"))
            await agents.save(
                transaction,
                login="chief",
                display_name="Alex Morgan",
                extension="1010",
                queues={"vip": 2},
            )
            await agents.save(
                transaction,
                login="nora",
                display_name="Nora",
                extension="1099",
                phone=PhoneKind.DESK,
            )
        assert "1099" not in await pbx.console("pjsip show endpoints")
        assert await service.apply_settings() == ""
        said = await pbx.console("queue show vip")
        assert "with penalty 2" in said
        assert "'linear' strategy" in said
        await until(lambda: list(board.queues.places_of("chief")) == ["vip"])
        assert "PJSIP/1010" not in await pbx.console("queue show sales")
        assert "1099" in await pbx.console("pjsip show endpoints")
        assert "642" in await pbx.console("dialplan show")
        # Two things with one number: the PBX keeps what it had.
        async with service.database.transaction() as transaction:
            await queues.save(transaction, replace(vip, number="1099"))
        assert await service.apply_settings() == "refused"
        assert "with penalty 2" in await pbx.console("queue show vip")
