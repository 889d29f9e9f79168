"""A newcomer's first evening, as the README tells it: demo, sign in, a call, a transfer, a wrap-up.

`make pictures` runs it with PICTURES set, and it leaves the README's picture there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from agent_desk.entrance.visitor import LANGUAGE_COOKIE
from deskbell import running_demo
from tests.desk.phone_panel import PhonePanel
from tests.service_fixtures import lend_sounds
from tests.talking_browser import talking_browser

pytestmark = pytest.mark.browser

SIZE = {"width": 1440, "height": 900}
TONE = 600
MOST_PICTURE_BYTES = 200_000


@contextlib.asynccontextmanager
async def typed(*words: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`deskbell WORDS` in a terminal of its own; Ctrl-C when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deskbell", *map(str, words)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "DESKBELL_DESK_PORT": "0"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        await process.communicate()


async def read_until(process: asyncio.subprocess.Process, text: str) -> str:
    """What it says up to the line with `text`."""
    assert process.stdout
    said = ""
    while text not in said:
        line = await process.stdout.readline()
        assert line, f"it ended without saying {text!r}:\n{said}"
        said += line.decode()
    return said


async def keep_picture(page: Page) -> None:
    folder = os.environ.get("PICTURES")
    if folder:
        picture = Path(folder) / "desk.png"
        await page.screenshot(path=picture, animations="disabled")
        assert picture.stat().st_size <= MOST_PICTURE_BYTES


async def test_the_readme_from_demo_to_wrap_up(tmp_path: Path) -> None:
    await asyncio.to_thread(lend_sounds, tmp_path / "pbx/sounds")
    async with (
        typed("demo", "--folder", tmp_path) as demo,
        async_playwright() as playwright,
        talking_browser(playwright, tmp_path, TONE) as browser,
    ):
        greeting = await read_until(demo, "Deskbell runs: ")
        greeting += await read_until(demo, "Ctrl-C stops everything.")
        running = running_demo.running(tmp_path)
        login = re.search(r"Sign in there as (\w+)", greeting)
        caller = re.search(r"deskbell call --from (\S+)", greeting)
        colleague = re.search(r"deskbell phone (\w+)", greeting)
        assert login
        assert caller
        assert colleague
        person = running.person(login[1])
        assert person.password in greeting

        context = await browser.new_context(viewport=SIZE, locale="en", reduced_motion="reduce")  # type: ignore[arg-type]
        await context.add_cookies([{"name": LANGUAGE_COOKIE, "value": "en", "url": running.url}])
        page = await context.new_page()
        await page.goto(running.url)
        await page.fill("[name=login]", person.login)
        await page.fill("[name=password]", person.password)
        await page.keyboard.press("Enter")
        phone = PhonePanel(page)
        await phone.is_ready()
        state = page.locator("[data-state-switch]")
        await state.click()
        await page.locator("[data-serve] button[type=submit]").click()
        await expect(state).to_have_attribute("data-state", "available")

        words = ("call", "--from", caller[1], "--to", "602", "--folder", tmp_path)
        async with (
            typed("phone", colleague[1], "--answer-after", "0.2", "--folder", tmp_path) as other,
            typed(*words),
        ):
            await read_until(other, "is registered")
            await expect(page.locator("[data-call-name]")).to_have_text("王芳", timeout=20_000)
            await phone.answer()
            await expect(page.locator("[data-legs]")).to_contain_text("Recording")
            story = page.locator("[data-story-list]")
            await expect(story.get_by_role("button", name="Play").first).to_be_visible()
            await page.locator("[data-note]").fill("Wants to know when the sofa comes.")
            await expect(page.locator("[data-note-state]")).to_have_text("Saved")
            await page.mouse.move(0, 0)
            await keep_picture(page)
            await phone.consult(colleague[1])
            await read_until(other, "talking to")
            await phone.complete()
            await phone.has_no_leg()
            await expect(state).to_have_attribute("data-state", "wrap_up")
            await page.locator("[data-dispositions] input").first.check(force=True)
            await page.keyboard.press("Control+Enter")
            await expect(state).to_have_attribute("data-state", "available")
