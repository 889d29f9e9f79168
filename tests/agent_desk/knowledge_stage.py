"""What agents are given to say and to know, for tests of the desk: a call with Wang Fang at Lin's,
the queue's script, texts and articles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import update

from crm_store.knowledge import articles, canned_texts, script_steps, scripts
from crm_store.knowledge.articles import ArticleWords
from crm_store.models import Queue
from crm_store.people import customers
from tests.agent_desk.conftest import RunningDesk
from tests.agent_desk.desk.test_api import answered_part, write_call
from tests.agent_desk.signal_stories import pop, queue_call

CALL = {"pbx": "main", "call": "1.1"}


def four(en: str, zh: str = "", es: str = "", fa: str = "") -> dict[str, str]:
    return {"en": en, "zh": zh or en, "es": es or en, "fa": fa or en}


STEPS: list[dict[str, Any]] = [
    {
        "id": "greeting",
        "title": four("Greeting", "问候", "Saludo", "سلام"),
        "text": four(
            "Hello {customer.name}, this is {agent.name}.",
            "{customer.name}您好，我是{agent.name}。",
            "Hola, {customer.name}, soy {agent.name}.",
            "سلام {customer.name}، من {agent.name} هستم.",
        ),
        "fields": [
            {
                "name": "language",
                "label": four("Language", "语言", "Idioma", "زبان"),
                "kind": "choice",
                "required": True,
                "fills": "customer.language",
                "choices": [
                    {"value": "zh", "label": four("Chinese", "中文", "Chino", "چینی")},
                    {"value": "en", "label": four("English", "英语", "Inglés", "انگلیسی")},
                ],
            },
        ],
        "next": [{"when": {"field": "language", "is": "en"}, "to": "english"}],
        "otherwise": "about",
    },
    {
        "id": "english",
        "title": four("In English"),
        "text": four("I go on in English."),
        "otherwise": "about",
    },
    {
        "id": "about",
        "title": four("What it is about", "事由", "Motivo", "موضوع"),
        "text": four("What can I do for you?", "有什么可以帮您?", "¿Qué desea?", "بفرمایید؟"),
        "fields": [
            {
                "name": "summary",
                "label": four("In short", "简述", "En breve", "خلاصه"),
                "kind": "text",
                "required": True,
                "fills": "interaction.summary",
            }
        ],
        "otherwise": "end",
    },
    {
        "id": "end",
        "title": four("Good-bye", "再见", "Despedida", "خداحافظ"),
        "text": four("Thank you.", "谢谢。", "Gracias.", "سپاس."),
        "end": True,
        "disposition": "solved",
    },
]


async def add_script(desk: RunningDesk, steps: Sequence[dict[str, Any]] = STEPS) -> int:
    """The script of the queue `sales`, published; its id."""
    async with desk.database.transaction() as transaction:
        script_id = await scripts.SCRIPTS.create(
            transaction, "sales", four("Sales", "销售", "Ventas", "فروش"), actor="sara"
        )
        number = await scripts.SCRIPTS.add_version(
            transaction, script_id, script_steps.read(list(steps)), actor="sara"
        )
        await scripts.publish(transaction, script_id, number, dispositions=["solved"], actor="sara")
        await transaction.session.execute(
            update(Queue).where(Queue.name == "sales").values(script="sales")
        )
    return script_id


async def add_text(desk: RunningDesk, code: str, text: dict[str, str], **values: Any) -> int:
    async with desk.database.transaction() as transaction:
        return await canned_texts.save(
            transaction,
            **{"code": code, "titles": four(code), "texts": text, "actor": "sara", **values},
        )


async def add_article(desk: RunningDesk, words: dict[str, tuple[str, str]], **values: Any) -> int:
    async with desk.database.transaction() as transaction:
        return await articles.save(
            transaction,
            **{
                "owner": "maria",
                "review_on": date(2099, 1, 1),
                "words": {code: ArticleWords(*text) for code, text in words.items()},
                "actor": "sara",
                **values,
            },
        )


async def wang_rings(desk: RunningDesk) -> None:
    """Wang Fang's call rings at Lin's desk (and at Maria's)."""
    story = queue_call()
    names = [type(signal).__name__ for signal in story]
    for signal in story[: names.index("CallLeftQueue")]:
        desk.bus.publish(signal)
    await _pop_wang(desk)


async def wang_talks(desk: RunningDesk) -> None:
    """Lin talks to Wang Fang; the call is written."""
    for signal in answered_part():
        desk.bus.publish(signal)
    await write_call(desk)
    await _pop_wang(desk)


async def _pop_wang(desk: RunningDesk) -> None:
    card = await customers.card(desk.database, desk.customers["wang"])
    assert card is not None
    desk.bus.publish(pop("lin", matches=(card.as_dict(),)))
