"""Callers whose names are attacks, through a real Asterisk to a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Dialog, expect

from tests.faults.raw_caller import RawCaller
from tests.service_fixtures import (
    CUSTOMER,
    RunningService,
    chromium,
    mall_template,
    mall_url,
    service,
    sign_in_page,
)

pytestmark = [pytest.mark.asterisk, pytest.mark.browser]
__all__ = ["chromium", "mall_template", "mall_url", "service"]

STRANGER = "+8613911112222"
HTML = "<img src=x onerror=alert(1)><script>alert(2)</script>"

# What is sent, and what the screen may show of it; None: Asterisk takes no such call.
NAMES: dict[str, tuple[bytes, str | None]] = {
    "html": (HTML.encode(), HTML),
    "emoji": ("😀🧨👩‍👩‍👧".encode(), "😀🧨👩‍👩‍👧"),
    "right-to-left": ("\u202eسارا\u202c احمدی".encode(), "سارا"),
    "Latin-1": (b"Jos\xe9 Mu\xf1oz", "Jos"),
    "10 kB": (b"A" * 10_000, "A" * 20),
    "a tab and quotes": (rb"x\"y\\z" + b"\tq", "x"),
    "template": (b"${SHELL(id)} {{7*7}} %(who)s", "{{7*7}} %(who)s"),
    "CR": (b"evil\rEvent: Hangup", "evil"),
    "CRLF": (b"evil\r\nEvent: Hangup\r\nX: y", None),
    "folded": (b"evil\r\n Event: Hangup", None),
    "LF": (b"evil\nEvent: Hangup", None),
}


async def test_names_are_shown_as_text_and_hurt_nobody(
    service: RunningService, chromium: Browser, tmp_path: Path
) -> None:
    page = await chromium.new_page(locale="en")
    problems: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        problems.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: problems.append(f"an error: {error}"))
    page.on(
        "console",
        # A page whose agent has a desk phone asks once whether it is the phone, and hears 409.
        lambda said: (
            problems.append(f"the console: {said.text}")
            if said.type == "error" and "409" not in said.text
            else None
        ),
    )
    desk = await service.sign_in("lin")
    await desk.has_desk_phone()
    await sign_in_page(page, service.url, "lin")
    await desk.follow("agent:lin")
    chief = await service.sign_in("chief")
    await chief.follow("calls")
    call_panel = page.locator("[data-call]")
    async with service.network() as network:
        phone = await service.phone(network, "1001", answer_after=None)
        await desk.serve("sales")
        for label, (name, shown) in NAMES.items():
            async with RawCaller(service, name, "600", STRANGER) as caller:
                if shown is None:
                    # The next caller shows that this one changed nothing.
                    continue
                ringing = await phone.next_call()
                await expect(call_panel).to_have_attribute("data-state", "offered")
                await expect(call_panel).to_contain_text(shown)
                width = await page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert width <= 0, f"{label}: the page is {width} px too wide"
                await page.screenshot(path=tmp_path / f"{label}.png")
                assert ringing.invite is not None
                assert shown in ringing.invite.header("From").replace("\\", "")
                await caller.answered.wait()
            await ringing.wait("ended")
            await expect(call_panel).to_have_attribute("data-state", "none")
            await chief.until(lambda: not chief.state["calls"])
        # Still everything works for the next customer.
        honest = await network.call(CUSTOMER, "600")
        await phone.answer()
        await expect(page.locator("[data-customer]")).to_contain_text("王芳")
        await honest.hang_up()
    assert not problems
    await desk.close()
    await chief.close()
    assert STRANGER not in service.log()
    assert max(map(len, service.log().splitlines())) < 2_000
