"""Chromium on the running desk: one browser a test, with what goes wrong in the page collected."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from agent_desk.entrance.visitor import LANGUAGE_COOKIE, SESSION_COOKIE, THEME_COOKIE
from tests.agent_desk.conftest import RunningDesk, open_session

WIDE = {"width": 1440, "height": 900}
MEDIUM = {"width": 1024, "height": 768}
NARROW = {"width": 375, "height": 812}

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.fail("there is no Chromium here: apt-get install chromium (or `make test`)")


@dataclass
class Chromium:
    """Opens windows for people on a desk."""

    browser: Browser
    desk: RunningDesk
    problems: list[str] = field(default_factory=list)

    async def window(
        self,
        login: str = "",
        *,
        language: str = "en",
        theme: str = "light",
        size: dict[str, int] | None = None,
    ) -> Page:
        """A window of somebody's own, signed in if `login` is given."""
        context = await self.browser.new_context(
            base_url=str(self.desk.url),
            viewport=size or WIDE,  # type: ignore[arg-type]
            reduced_motion="reduce",
            locale=language,
        )
        await self._give_cookies(context, login, language, theme)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("console", self._note_console)
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        return page

    def _note_console(self, said: ConsoleMessage) -> None:
        where = said.location["url"]
        # Chromium's own word on an answer that was 503: this desk has no telephone system.
        if said.type == "error" and not where.endswith("/api/phone/claim"):
            self.problems.append(f"console: {said.text} {where}")

    async def _give_cookies(
        self, context: BrowserContext, login: str, language: str, theme: str
    ) -> None:
        cookies = {LANGUAGE_COOKIE: language, THEME_COOKIE: theme}
        if login:
            cookies[SESSION_COOKIE] = await open_session(self.desk, login)
        await context.add_cookies(
            [
                {"name": name, "value": value, "url": str(self.desk.url)}
                for name, value in cookies.items()
            ]
        )


@pytest.fixture
async def chrome(desk: RunningDesk) -> AsyncIterator[Chromium]:
    """A browser on the desk. A script error, or a request the content policy refused, fails."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        opened = Chromium(browser, desk)
        yield opened
        await browser.close()
    assert opened.problems == [], opened.problems


__all__ = ["MEDIUM", "NARROW", "WIDE", "Chromium", "chrome"]
