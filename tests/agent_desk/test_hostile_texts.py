"""What strangers and colleagues write is text wherever the desk shows it: nothing of it runs, loads
or pushes the page apart, and no letter of it turns the sentence around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, expect

from crm_store import text_search
from crm_store.contacts import interactions, tasks
from crm_store.contacts.tasks import NewTask
from crm_store.knowledge import articles
from crm_store.models import Channel, ContactKind, Role, Severity, TaskKind
from crm_store.people import complaints, customers, merging, visits
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.signals import CallParked, CallStarted, Direction
from crm_store.staff import agents, queues, skills
from crm_store.staff.queues import QueueRecord
from tests.agent_desk.browser_fixtures import NARROW, Chromium, chrome
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.knowledge_stage import add_article, add_script, add_text, four
from tests.agent_desk.test_browser import answer, card_of, open_desk, ring, write_call

__all__ = ["chrome"]

pytestmark = pytest.mark.browser

OVERRIDE = "\u202egnp"
FAMILY = "👩‍👩‍👧‍👦"
LONG = "x" * 5_000


def hostile(what: str) -> str:
    """A text that is known by its first word."""
    return (
        f"{what} <img src=//evil.example/{what} onerror=window.hacked=1>"
        f"</title></script><script>window.hacked=1</script>'\"&lt; {OVERRIDE}{FAMILY}"
    )


MARKDOWN = f"""# {hostile("heading")}

{hostile("paragraph")} [a link](javascript:window.hacked=1)
[another](JaVaScRiPt&colon;window.hacked=1) [data](data:text/html,<script>window.hacked=1</script>)
![picture](https://evil.example/picture.png) <javascript:window.hacked=1>
<a href="javascript:window.hacked=1" onclick="window.hacked=1">raw</a>
<iframe src="https://evil.example/"></iframe><svg onload=window.hacked=1>

- {hostile("item")}

{LONG}
"""

RUNS = """() => [
  ...document.querySelectorAll("img, iframe, object, embed, base"),
  ...[...document.querySelectorAll("*")].filter((one) =>
    [...one.attributes].some(({ name, value }) =>
      name.startsWith("on") || /^\\s*(javascript|data):/i.test(value))),
].map((one) => one.outerHTML.slice(0, 200))"""
"""Elements that a stranger's text may never become."""

TURNED = """() => {
  const turned = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.includes("\\u202e") || text.data.includes("\\u2068")) continue;
    let place = text.parentElement;
    if (!place.checkVisibility() || place.closest("script, option, textarea")) continue;
    if (place.closest(".script-text, .canned-text, .article-body, .article-preview")) continue;
    let apart = false;
    while (!apart && getComputedStyle(place).display === "inline") {
      apart = /isolate|plaintext/.test(getComputedStyle(place).unicodeBidi);
      if (!apart) place = place.parentElement;
    }
    if (!apart && place.textContent.trim() !== text.data.trim()) {
      turned.push(`${place.className} in ${place.parentElement.className}: ${text.data}`);
    }
  }
  return turned;
}"""
"""Places where a text that turns its direction stands in a sentence and is not kept apart. Texts
that are long themselves turn as their writers want."""

WIDER = """() => [...document.querySelectorAll("body *")]
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => (box.right > innerWidth || box.left < 0) && one.checkVisibility())
  .map(([one, box]) => `${Math.round(box.width)}: ${one.tagName}.${one.className} in ` +
    one.parentElement.className)"""
"""What stands out of the window."""


@dataclass
class Watch:
    """Everything a window asked for elsewhere."""

    own: str
    foreign: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._note(request.url))

    def _note(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.own:
            self.foreign.append(address)


async def only_text(page: Page, name: str, *shown: str) -> None:
    """All of `shown` is there to be read, and nothing of it became anything else."""
    for what in shown:
        start = f"{what} <img src=//evil.example/{what} onerror="
        await expect(page.locator("body"), f"{name}: {what}").to_contain_text(start)
    assert await page.evaluate("window.hacked") is None, name
    assert await page.evaluate(RUNS) == [], name
    turned = await page.evaluate(TURNED)
    assert turned == [], f"{name}: " + "\n".join(turned)
    before = page.viewport_size
    await page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= NARROW["width"], f"{name} is {wide} wide: {await page.evaluate(WIDER)}"
    if before:
        await page.set_viewport_size(before)


@pytest.fixture
async def evil(desk: RunningDesk) -> RunningDesk:
    """A desk where every text that people write is hostile."""
    await _staff(desk)
    async with desk.database.transaction() as transaction:
        ids = [
            await customers.create(
                transaction,
                NewCustomer(
                    hostile(name), "en", notes=hostile(f"notes-{name}") + LONG,
                    contact_points=[ContactWay(ContactKind.PHONE, number, hostile("label"))],
                ),
                actor="import",
            )
            for name, number in (("person", "+442079460001"), ("twin", "+442079460002"),
                                 ("third", "+442079460003"))
        ]  # fmt: skip
        person, twin, third = ids
        desk.customers |= {"person": person, "twin": twin}
        told = await interactions.open_interaction(
            transaction, channel=Channel.VISIT, direction=Direction.INBOUND, customer_id=person,
            agent="maria", queue="sales", summary=hostile("summary"), note=hostile("past") + LONG,
            keyed=(hostile("keyed"),),
        )  # fmt: skip
        await interactions.close(transaction, told, disposition="solved")
        await visits.plan(
            transaction, person, datetime.now(UTC) + timedelta(days=1), actor="lin", agent="maria",
            place=hostile("place"), purpose=hostile("purpose"),
        )  # fmt: skip
        await visits.log(
            transaction, person, datetime.now(UTC), actor="maria", place=LONG[:300],
            outcome=hostile("outcome") + LONG,
        )  # fmt: skip
        await complaints.file(
            transaction, hostile("complaint") + LONG, actor="maria", customer_id=person,
            severity=Severity.HIGH, subject=hostile("subject"),
        )  # fmt: skip
        for kind, number in ((TaskKind.CALLBACK, "+442079460001"), (TaskKind.TASK, "")):
            await tasks.create(
                transaction,
                NewTask(
                    title=hostile(kind), kind=kind, number=number, customer_id=person,
                    due_at=datetime.now(UTC) - timedelta(minutes=1), text=hostile("detail") + LONG,
                    assigned_to="lin" if number else None, queue=None if number else "sales",
                ),
                actor="maria",
            )  # fmt: skip
        await merging.merge(transaction, third, person, actor="maria", reason=hostile("reason"))
        await text_search.index_interaction(transaction, told)
    return desk


async def _staff(desk: RunningDesk) -> None:
    async with desk.database.transaction() as transaction:
        for login, extension, role in (("lin", "1001", Role.AGENT), ("maria", "1002", Role.AGENT)):
            await agents.save(
                transaction, login=login, display_name=hostile(login), extension=extension,
                role=role, queues=("sales",),
            )  # fmt: skip
        await queues.save_disposition(transaction, "solved", four(hostile("settled")))
        await queues.save_pause_reason(transaction, "lunch", four(hostile("pause")))
        await skills.save_skill(transaction, "knits", four(hostile("skill")))
        await queues.save(
            transaction,
            QueueRecord(
                "sales", "600", four(hostile("queue")), dispositions=("solved", "call_back")
            ),
        )
    found = await agents.all_agents(desk.database)
    desk.live.name_agents({agent.login: agent.display_name for agent in found})


async def _knowledge(desk: RunningDesk) -> int:
    await add_script(
        desk,
        [
            {
                "id": "greeting",
                "title": four(hostile("step")),
                "text": four(hostile("said") + " {customer.name} {agent.name}"),
                "fields": [
                    {
                        "name": "way",
                        "label": four(hostile("asked")),
                        "kind": "choice",
                        "choices": [
                            {"value": "a", "label": four(hostile("choice"))},
                            {"value": "b", "label": four("b" + LONG[:300])},
                        ],
                    }
                ],
                "otherwise": "end",
            },
            {
                "id": "end",
                "title": four("End"),
                "text": four("Thank you."),
                "end": True,
                "disposition": "solved",
            },
        ],
    )
    await add_text(
        desk, "hello", four(hostile("canned") + " {customer.name}"), titles=four(hostile("named"))
    )
    article = await add_article(desk, {"en": (hostile("article"), MARKDOWN)}, owner="lin")
    async with desk.database.transaction() as transaction:
        await articles.flag(transaction, article, "wrong", hostile("flag"), agent="maria")
        await articles.flag(transaction, None, "missing", hostile("missing"), agent="maria")
        answered = await articles.flag(transaction, article, "outdated", "Old", agent="lin")
        await articles.settle(transaction, answered, hostile("settles"), actor="maria")
    return article


@pytest.mark.timeout(300)
async def test_a_visit_at_the_desk(chrome: Chromium, evil: RunningDesk) -> None:
    await _knowledge(evil)
    page = await open_desk(chrome)
    watch = Watch(urlsplit(str(evil.url)).netloc)
    watch.over(page.context)
    await only_text(page, "desk", "lin", "maria", "queue")
    await expect(page.locator(".toast-callback")).to_contain_text("person <img")
    await only_text(page, "callback's toast")
    await page.locator(".toast-callback button").last.click()

    common: dict[str, Any] = {"pbx": "main", "call": "9.1"}
    evil.bus.publish(
        CallStarted(**common, direction=Direction.INBOUND, caller="+442079460009",
                    caller_name=hostile("parked"), callee="600")
    )  # fmt: skip
    evil.bus.publish(CallParked(**common, endpoint="PJSIP/maria", space="701"))
    await expect(page.locator("[data-parked] li")).to_have_count(1)

    other = await chrome.window("maria")
    await ring(evil, await card_of(evil, "person"), caller_name=hostile("caller"))
    await expect(page.locator(".customer-card h2")).to_contain_text("person <img")
    await only_text(page, "ringing", "person", "notes-person", "summary", "step", "said")
    answer(evil)
    await write_call(evil)
    await expect(page.locator(".disposition").first).to_contain_text("settled <img")
    await other.goto(f"/customers/{evil.customers['person']}")
    await expect(page.locator("[data-looking-too]")).to_contain_text("maria <img")
    await expect(other.locator("[data-looking-too]")).to_contain_text("lin <img")
    await only_text(page, "talking", "settled", "asked", "choice", "complaint", "purpose")
    await only_text(other, "looking too", "person")

    await page.locator("[data-story-find]").fill("summary <img")
    await expect(page.locator(".story-entry")).to_have_count(1)
    await only_text(page, "found in the story", "summary")
    await page.locator("[data-story-find]").fill("")

    texts = page.locator("[data-panel=texts]")
    await page.locator("#tab-texts").click()
    await expect(texts.locator(".canned")).to_have_count(1)
    await only_text(page, "texts", "named", "canned")
    note = page.locator("[data-note]")
    await note.click()
    await page.keyboard.type(";hello ")
    await expect(note).to_have_value(
        f"{hostile('canned')} {(await card_of(evil, 'person'))['name']}"
    )
    await only_text(page, "text in the note")

    await page.locator("#tab-knowledge").click()
    panel = page.locator("[data-panel=knowledge]")
    await panel.locator("[data-knowledge-find]").fill("article")
    await expect(panel.locator(".article-title")).to_contain_text("article <img")
    await only_text(page, "articles found", "article")
    await panel.locator(".article-title").click()
    await expect(panel.locator(".article-body li")).to_contain_text("item <img")
    await only_text(page, "article", "article", "heading", "paragraph", "item", "flag")

    await page.locator("#tab-tasks").click()
    await expect(page.locator(".task")).to_have_count(2)
    await only_text(page, "tasks", "callback", "task")
    await page.locator(".task", has_text="callback").get_by_text("Open").click()
    await only_text(page, "one task", "detail")
    await page.keyboard.press("Escape")

    await page.locator("[data-state-switch]").click()
    await only_text(page, "states", "pause")
    await page.keyboard.press("Escape")
    await page.locator("body").press("Control+k")
    for words, what in (("person", "person"), ("maria", "maria")):
        await page.locator("#palette input").fill(words)
        await expect(page.locator("#palette [role=option]").first).to_contain_text(f"{what} <img")
        await only_text(page, f"palette {words}", what)
    await page.keyboard.press("Escape")
    assert watch.foreign == []


@pytest.mark.timeout(300)
async def test_the_pages(chrome: Chromium, evil: RunningDesk) -> None:
    article = await _knowledge(evil)
    person, twin = evil.customers["person"], evil.customers["twin"]
    page = await chrome.window("sara")
    watch = Watch(urlsplit(str(evil.url)).netloc)
    watch.over(page.context)
    customer = (
        "person",
        "label",
        "notes-person",
        "place",
        "purpose",
        "outcome",
        "subject",
        "complaint",
    )
    merged = f"/customers/{person}/merge?find={quote('twin <img')}"
    for path, *shown in (
        (f"/customers/{person}", *customer, "summary"),
        (f"/customers/{person}/edit", "person"),
        (f"/customers?find={quote('person <img')}", "person"),
        (merged, "person", "twin", "summary", "reason"),
        (f"{merged}&other={twin}", "person", "twin", "notes-person", "notes-twin"),
        ("/floor", "queue", "lin"),
        ("/setup",),
        ("/setup/agents", "lin", "maria", "queue"),
        ("/setup/agents/maria", "queue", "skill"),
        ("/setup/queues", "queue"),
        ("/setup/queues/sales", "settled", "skill"),
        ("/setup/skills", "skill"),
        ("/setup/skills/knits",),
        ("/setup/pause-reasons", "pause"),
        ("/setup/pause-reasons/lunch",),
        ("/setup/dispositions", "settled"),
        ("/setup/dispositions/solved",),
        ("/setup/scripts",),
        ("/setup/scripts/1", "step"),
        ("/setup/scripts/1/compare",),
        ("/setup/texts", "named"),
        ("/setup/texts/1",),
        ("/setup/articles", "article", "missing"),
        (f"/setup/articles/{article}", "flag"),
        (f"/setup/articles/new?title={quote(hostile('asked'))}",),
    ):
        answered = await page.goto(path)
        assert answered is not None
        assert answered.status == 200, path
        await only_text(page, path, *shown)
    await page.goto("/tasks")
    await page.locator("[name=whose]").select_option("all")
    await expect(page.locator(".task")).to_have_count(2)
    await only_text(page, "tasks", "callback", "task", "queue")
    assert watch.foreign == []
