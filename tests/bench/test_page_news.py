"""What calls leave in the desk's page: nothing, counted and not timed.

The same ground as the bench's news, at a size where one thing kept for each call shows: nodes,
listeners, and all that the page's maps, sets, lists and its computer's storage hold.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from playwright.async_api import CDPSession, Page, async_playwright

from bench import page as bench_page
from bench.page_desk import running_desk
from tests.agent_desk.browser_fixtures import FLAGS, chromium

pytestmark = pytest.mark.browser

FEW, MANY = 5, 60

SIZES = """
function () {
  return this.reduce((sum, one) => sum + (Object.hasOwn(one, "constructor") ? 0 : one.size), 0);
}
"""
"""Of Maps or Sets; a prototype has no size."""


async def held_by_all(devtools: CDPSession, prototype: str, reckon: str) -> int:
    """What `reckon`, a function of a list, says of all objects of the prototype that are left."""
    found = await devtools.send("Runtime.evaluate", {"expression": prototype, "objectGroup": "it"})
    of = {"prototypeObjectId": found["result"]["objectId"], "objectGroup": "it"}
    objects = (await devtools.send("Runtime.queryObjects", of))["objects"]
    asked = {"objectId": objects["objectId"], "functionDeclaration": reckon, "returnByValue": True}
    answer = await devtools.send("Runtime.callFunctionOn", asked)
    await devtools.send("Runtime.releaseObjectGroup", {"objectGroup": "it"})
    value = answer["result"]["value"]
    assert isinstance(value, int)
    return value


async def held(page: Page, devtools: CDPSession) -> dict[str, int]:
    weight = await bench_page.weight(page, devtools)
    return {
        "nodes": weight["nodes"],
        "listeners": weight["listeners"],
        "in maps": await held_by_all(devtools, "Map.prototype", SIZES),
        "in sets": await held_by_all(devtools, "Set.prototype", SIZES),
        "promises": await held_by_all(
            devtools, "Promise.prototype", "function () { return this.length; }"
        ),
        "stored": await page.evaluate("localStorage.length + sessionStorage.length"),
    }


async def test_calls_leave_nothing_in_the_page(tmp_path: Path) -> None:
    async with (
        running_desk(f"sqlite:///{tmp_path}/page.db", faster=bench_page.FASTER) as desk,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        context = await bench_page.signed_in(browser, desk)
        page = await context.new_page()
        devtools = await context.new_cdp_session(page)
        await devtools.send("Performance.enable")
        with bench_page.faster_limits():
            await page.goto("/desk")
            await page.wait_for_function("() => window.seen.interactive !== null")
            await page.wait_for_load_state("networkidle")
            calls = itertools.count(1)
            await bench_page.send(desk, page, FEW * 60, calls)
            before = await held(page, devtools)
            await bench_page.send(desk, page, MANY * 60, calls)
            after = await held(page, devtools)
        await browser.close()
    grown = {what: after[what] - before[what] for what in after}
    # Some dozens of nodes are what is shown at the moment; one for each call would be more.
    assert max(grown.values()) < MANY, grown
