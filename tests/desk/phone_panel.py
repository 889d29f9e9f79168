"""The phone's panel, as an agent uses it: every verb is a click on what the page shows.

Owns the places and names of what is clicked; refuses to know what comes of it.
"""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

ANSWER = "[data-legs] [data-verb=answer]"
PATIENCE_MS = 15_000.0


class PhonePanel:
    """The calls' buttons, the dialogs and the chip of one page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    # ---- what it shows ---------------------------------------------------------------------------

    @property
    def chip(self) -> Locator:
        """Its data-phone: ready, connecting, away, no_microphone, elsewhere, desk."""
        return self.page.locator("[data-phone-menu] summary")

    async def is_ready(self, within: float = 20.0) -> None:
        """Wait until the chip says that calls reach this page."""
        await expect(self.chip).to_have_attribute("data-phone", "ready", timeout=within * 1000)

    @property
    def legs(self) -> Locator:
        return self.page.locator("[data-legs] .leg")

    def leg(self, state: str) -> Locator:
        """The leg in that state: ringing, calling, answered, held."""
        return self.page.locator(f"[data-legs] .leg[data-state={state}]")

    async def has_leg(self, state: str) -> None:
        await expect(self.leg(state)).to_have_count(1, timeout=PATIENCE_MS)

    async def has_no_leg(self) -> None:
        await expect(self.legs).to_have_count(0, timeout=PATIENCE_MS)

    @property
    def notices(self) -> Locator:
        return self.page.locator("[data-phone-notices]")

    # ---- verbs -----------------------------------------------------------------------------------

    async def _press(self, state: str, verb: str) -> None:
        await self.leg(state).locator(f"[data-verb={verb}]").click(timeout=PATIENCE_MS)

    async def answer(self) -> None:
        await self._press("ringing", "answer")
        await self.has_leg("answered")

    async def decline(self) -> None:
        await self._press("ringing", "decline")

    async def hang_up(self, state: str = "answered") -> None:
        await self._press(state, "hang_up")

    async def hold(self) -> None:
        await self._press("answered", "hold")
        await self.has_leg("held")

    async def resume(self) -> None:
        """Of the one that waits: alone it is taken back, beside another it is switched to."""
        await self._press("held", "hold")

    async def mute(self) -> None:
        """Or the opposite, when it is muted."""
        await self._press("answered", "mute")

    async def key(self, digits: str) -> None:
        """On the keypad; the dialog is closed again."""
        await self._press("answered", "keypad")
        keypad = self.page.locator("[data-keypad]")
        for digit in digits:
            await keypad.locator(f'[data-key="{digit}"]').click()
        await expect(keypad.locator("[data-keypad-typed]")).to_have_text(digits)
        await keypad.locator("[data-closes]").click()

    async def transfer(self, to: str) -> None:
        """Blind: a colleague's login, a queue's title, or a number."""
        await self._press("answered", "transfer")
        await self._choose(to, "transfer_now")

    async def consult(self, to: str) -> None:
        """Ask somebody first; the customer waits."""
        await self._press("answered", "transfer")
        await self._choose(to, "ask_first")

    async def _choose(self, to: str, verb: str) -> None:
        dialog = self.page.locator("[data-phone-to]")
        await dialog.locator("[data-to-field]").fill(to)
        button = dialog.locator(f"[data-to-verb={verb}]").first
        await button.click(timeout=PATIENCE_MS)
        await expect(dialog).to_be_hidden(timeout=PATIENCE_MS)

    async def complete(self, state: str = "answered") -> None:
        await self._press(state, "complete")

    async def take_back(self, state: str = "answered") -> None:
        await self._press(state, "take_back")

    async def conference(self) -> None:
        await self._press("answered", "conference")

    async def park(self) -> None:
        await self._press("answered", "park")

    async def pick_up(self) -> None:
        """The call that is parked."""
        await self.page.locator("[data-pick-up]").click(timeout=PATIENCE_MS)

    async def record(self) -> None:
        await self._press("answered", "record")

    async def pause_recording(self) -> None:
        """Or go on with it, when it is paused."""
        await self._press("answered", "pause_recording")

    async def stop_recording(self) -> None:
        await self._press("answered", "stop_recording")

    async def dial(self, to: str) -> None:
        """From the phone's menu."""
        await self.chip.click()
        menu = self.page.locator("[data-phone-menu]")
        await menu.locator("[name=to]").fill(to)
        await menu.locator("[data-phone-dial] button").click()

    async def redial(self) -> None:
        await self.chip.click()
        await self.page.locator("[data-phone-redial]").click()

    async def use_here(self) -> None:
        """Take the phone from the tab or the computer that has it."""
        await self.notices.get_by_role("button").click()
