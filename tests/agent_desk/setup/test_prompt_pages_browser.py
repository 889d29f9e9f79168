"""A supervisor puts a recording in a prompt's place, in Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from agent_desk.entrance.visitor import SESSION_COOKIE
from agent_desk.parts import PromptVoices
from tests.agent_desk.browser_fixtures import FLAGS, NARROW, WIDE, Chromium, chromium
from tests.agent_desk.conftest import Visitor, open_session
from tests.agent_desk.setup.test_prompt_pages import (  # noqa: F401 - fixtures
    a_voice,
    phone_menus,
    sounds,
    supervisor,
    upload,
    voices,
)
from tests.agent_desk.test_pages import find_faults, look

pytestmark = pytest.mark.browser


async def test_a_file_is_sent_and_its_sound_is_there(
    supervisor: Visitor,  # noqa: F811
    voices: PromptVoices,  # noqa: F811
    tmp_path: Path,
) -> None:
    good, bad = tmp_path / "voice.wav", tmp_path / "text.wav"
    good.write_bytes(a_voice())
    bad.write_bytes(b"I am no sound")
    token = await open_session(supervisor.desk, "sara")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium(), args=FLAGS)
        context = await browser.new_context(base_url=str(supervisor.desk.url))
        cookie = {"name": SESSION_COOKIE, "value": token, "url": str(supervisor.desk.url)}
        await context.add_cookies([cookie])  # type: ignore[list-item]
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto("/setup/prompts/one?code=goodbye")
        stretch = page.locator("[data-prompt]").first
        await stretch.locator("input[type=file]").set_input_files(bad)
        await expect(stretch.locator("[data-said]")).to_contain_text("no sound file")
        await stretch.locator("input[type=file]").set_input_files(good)
        await expect(stretch.locator("[data-said]")).to_contain_text(
            "Callers hear it", timeout=20_000
        )
        heard = stretch.locator("[data-recording] audio")
        seconds = await heard.evaluate(
            "(player) => new Promise((done) => {"
            " player.addEventListener('loadedmetadata', () => done(player.duration));"
            " player.preload = 'metadata'; player.load(); })"
        )
        assert 1.9 < seconds < 2.2
        assert len(list(voices.uploads.iterdir())) == 1
        assert wrong == []
        await browser.close()


@pytest.mark.parametrize(
    ("language", "theme"), [("en", "light"), ("zh", "dark"), ("es", "dark"), ("fa", "light")]
)
async def test_the_pages_are_sound(
    supervisor: Visitor,  # noqa: F811
    language: str,
    theme: str,
) -> None:
    status, _ = await upload(supervisor, a_voice())
    assert status == 200
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium(), args=FLAGS)
        chrome = Chromium(browser, supervisor.desk)
        page = await chrome.window("sara", language=language, theme=theme)
        for name, path in (("prompts", "/setup/prompts"),
                           ("prompt", "/setup/prompts/one?code=goodbye"),
                           ("prompt-parts", "/setup/prompts/one?code=points_balance")):  # fmt: skip
            await page.goto(path)
            for size, dimensions in (("wide", WIDE), ("narrow", NARROW)):
                await page.set_viewport_size(dimensions)  # type: ignore[arg-type]
                await look(page, f"setup-{name}-{language}-{theme}-{size}")
            await find_faults(page, name)
        await browser.close()
    assert chrome.problems == []
