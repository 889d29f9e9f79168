"""What the sample mall's agents say and know: scripts of two queues, canned texts, articles.

Owns writing them where they are missing; what somebody has changed stays as it is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from crm_store.database import Transaction
from crm_store.knowledge import articles, canned_texts, script_steps, scripts
from crm_store.knowledge.articles import ArticleWords
from crm_store.models import Article, CannedText, Disposition, Queue, Script
from crm_store.sample.articles import ARTICLES, TEXTS

WRITTEN_BY = "chief"


async def fill_knowledge(transaction: Transaction, day: date | None = None) -> None:
    """Write the scripts, texts and articles that are not there; reviews are counted from `day`.

    The queues and dispositions of the mall must be there.
    """
    await _fill_scripts(transaction)
    known = set(await transaction.session.scalars(select(CannedText.code)))
    for code, queue, titles, texts in TEXTS:
        if code not in known:
            await canned_texts.save(
                transaction,
                code=code,
                titles=titles,
                texts=texts,
                queue=queue,
                actor=WRITTEN_BY,
            )
    if await transaction.session.scalar(select(Article.id).limit(1)) is None:
        await _fill_articles(transaction, day or datetime.now(UTC).date())


async def _fill_articles(transaction: Transaction, day: date) -> None:
    written = []
    for article in ARTICLES:
        words = {code: ArticleWords(title, body) for code, (title, body) in article.words.items()}
        written.append(
            await articles.save(
                transaction,
                owner=article.owner,
                review_on=day + timedelta(days=article.review_days),
                words=words,
                queues=article.queues,
                actor=WRITTEN_BY,
            )
        )
    for position, helpful in ((0, True), (2, True), (3, True), (4, False)):
        for agent in ("james", "emma", "wei")[: 3 - position % 2]:
            await articles.vote(transaction, written[position], agent, helpful=helpful)
    await articles.flag(
        transaction, written[4], "outdated", "B3 is closed this month.", agent="james"
    )
    await articles.flag(transaction, None, "missing", "wheelchair", agent="emma")


async def _fill_scripts(transaction: Transaction) -> None:
    session = transaction.session
    known = set(await session.scalars(select(Script.code)))
    dispositions = set(await session.scalars(select(Disposition.code)))
    for code, queue, titles, steps in SCRIPTS:
        if code in known:
            continue
        script_id = await scripts.SCRIPTS.create(transaction, code, titles, actor=WRITTEN_BY)
        number = await scripts.SCRIPTS.add_version(
            transaction, script_id, script_steps.read(steps), actor=WRITTEN_BY
        )
        await scripts.publish(
            transaction, script_id, number, dispositions=dispositions, actor=WRITTEN_BY
        )
        await session.execute(
            update(Queue).where(Queue.name == queue, Queue.script.is_(None)).values(script=code)
        )


def _four(en: str, zh: str, es: str, fa: str) -> dict[str, str]:
    return {"en": en, "zh": zh, "es": es, "fa": fa}


def _choice(value: str, en: str, zh: str, es: str, fa: str) -> dict[str, Any]:
    return {"value": value, "label": _four(en, zh, es, fa)}


def _end(code: str, disposition: str, text: dict[str, str]) -> dict[str, Any]:
    return {
        "id": code,
        "title": _four("Good-bye", "结束", "Despedida", "پایان"),
        "text": text,
        "end": True,
        "disposition": disposition,
    }


_THANKS = _four(
    "Thank you for calling, {customer.name}. Have a good day!",
    "感谢来电，{customer.name}，祝您愉快！",
    "Gracias por llamar, {customer.name}. ¡Que tenga un buen día!",
    "از تماس شما سپاسگزارم، {customer.name}. روز خوش!",
)
_SUMMARY = {
    "name": "summary",
    "label": _four("In short", "简要记录", "En resumen", "خلاصه"),
    "kind": "text",
    "fills": "interaction.summary",
}

SERVICE: list[dict[str, Any]] = [
    {
        "id": "greeting",
        "title": _four("Greeting", "问候", "Saludo", "خوشامد"),
        "text": _four(
            "{queue}, this is {agent.name}. Good day, {customer.name}! What can I do for you?",
            "{queue}，我是{agent.name}。{customer.name}您好！请问有什么可以帮您？",
            "{queue}, le atiende {agent.name}. ¡Buenos días, {customer.name}! ¿En qué puedo "
            "ayudarle?",
            "{queue}، من {agent.name} هستم. سلام {customer.name}! چه کمکی از من برمی‌آید؟",
        ),
        "fields": [
            {
                "name": "subject",
                "label": _four("What is it about?", "来电事由", "¿De qué se trata?", "موضوع چیست؟"),
                "kind": "choice",
                "required": True,
                "choices": [
                    _choice("order", "An order", "订单", "Un pedido", "سفارش"),
                    _choice("points", "Points", "积分", "Puntos", "امتیاز"),
                    _choice("complaint", "A complaint", "投诉", "Una queja", "شکایت"),
                    _choice("other", "Something else", "其他", "Otra cosa", "چیز دیگر"),
                ],
            }
        ],
        "next": [
            {"when": {"field": "subject", "is": "order"}, "to": "order"},
            {"when": {"field": "subject", "is": "points"}, "to": "points"},
            {"when": {"field": "subject", "is": "complaint"}, "to": "complaint"},
        ],
        "otherwise": "other",
    },
    {
        "id": "order",
        "title": _four("The order", "订单", "El pedido", "سفارش"),
        "text": _four(
            "Which order is it, and when did you place it?",
            "请问是哪个订单，什么时候下的单？",
            "¿Qué pedido es y cuándo lo hizo?",
            "کدام سفارش است و کی ثبت شده؟",
        ),
        "fields": [
            {
                "name": "days",
                "label": _four("Days since the order", "下单至今天数", "Días desde el pedido",
                               "چند روز از سفارش گذشته"),
                "kind": "number",
                "required": True,
            },
            _SUMMARY,
        ],
        "next": [{"when": {"field": "days", "above": 4}, "to": "order-late"}],
        "otherwise": "order-told",
    },
    _end("order-told", "order_status", _four(
        "It is on its way and comes within four days. Is there anything else?",
        "订单在途中，四天内送达。请问还有别的需要吗？",
        "Está en camino y llega en cuatro días. ¿Algo más?",
        "در راه است و تا چهار روز می‌رسد. کار دیگری هست؟")),
    _end("order-late", "order_late", _four(
        "That is too long, and I am sorry. I look into it and call you today.",
        "时间确实太久了，非常抱歉。我马上查询，今天给您回电。",
        "Es demasiado; lo siento. Lo consulto y le llamo hoy mismo.",
        "این خیلی دیر است و پوزش می‌خواهم. پیگیری می‌کنم و امروز تماس می‌گیرم.")),
    {
        "id": "points",
        "title": _four("Points", "积分", "Puntos", "امتیاز"),
        "text": _four(
            "You have {points} points. Is that what you expected?",
            "您有 {points} 积分，和您想的一样吗？",
            "Tiene {points} puntos. ¿Es lo que esperaba?",
            "شما {points} امتیاز دارید. همان است که انتظار داشتید؟",
        ),
        "fields": [
            {
                "name": "right",
                "label": _four("As expected", "一致", "Es correcto", "درست است"),
                "kind": "yes_no",
                "required": True,
            }
        ],
        "next": [
            {"when": {"field": "right", "is": True}, "to": "points-told"},
            {"when": {"field": "right", "is": False}, "to": "points-missing"},
        ],
    },
    _end("points-told", "points_balance", _THANKS),
    _end("points-missing", "points_missing", _four(
        "Please tell me the receipt's number: the points are added within a day.",
        "请告诉我小票号，积分会在一天内补上。",
        "Dígame el número del tique: los puntos se añaden en un día.",
        "شمارهٔ رسید را بفرمایید: امتیازها تا یک روز افزوده می‌شود.")),
    {
        "id": "complaint",
        "title": _four("What happened", "事情经过", "Qué ha pasado", "چه شده است"),
        "text": _four(
            "I am sorry. Please tell me what happened; I write it down.",
            "非常抱歉。请您说说事情经过，我来记录。",
            "Lo siento. Cuénteme qué ha pasado; lo anoto.",
            "متأسفم. بفرمایید چه شده است؛ یادداشت می‌کنم.",
        ),
        "fields": [
            {**_SUMMARY, "name": "complaint", "required": True},
            {
                "name": "since",
                "label": _four("When was it?", "什么时候?", "¿Cuándo fue?", "کی بود؟"),
                "kind": "date",
            },
        ],
        "otherwise": "complaint-end",
    },
    _end("complaint-end", "complaint_service", _four(
        "I have written it down, and somebody calls you by tomorrow. Thank you, {customer.name}.",
        "我已记录，明天之前会有人给您回电。谢谢您，{customer.name}。",
        "Lo he anotado y le llamarán antes de mañana. Gracias, {customer.name}.",
        "یادداشت کردم و تا فردا با شما تماس می‌گیرند. سپاس، {customer.name}.")),
    _end("other", "answered", _THANKS),
]  # fmt: skip

SALES: list[dict[str, Any]] = [
    {
        "id": "greeting",
        "title": _four("Greeting", "问候", "Saludo", "خوشامد"),
        "text": _four(
            "{queue}, this is {agent.name}. What are you looking for, {customer.name}?",
            "{queue}，我是{agent.name}。{customer.name}，请问您想找什么？",
            "{queue}, soy {agent.name}. ¿Qué busca, {customer.name}?",
            "{queue}، من {agent.name} هستم. دنبال چه هستید، {customer.name}؟",
        ),
        "fields": [{**_SUMMARY, "name": "wish"}],
        "otherwise": "language",
    },
    {
        "id": "language",
        "title": _four("Language", "语言", "Idioma", "زبان"),
        "text": _four(
            "In which language shall we write to you?",
            "我们今后用哪种语言与您联系？",
            "¿En qué idioma le escribimos?",
            "به چه زبانی برایتان بنویسیم؟",
        ),
        "fields": [
            {
                "name": "language",
                "label": _four("Language", "语言", "Idioma", "زبان"),
                "kind": "choice",
                "fills": "customer.language",
                "choices": [
                    _choice("zh", "Chinese", "中文", "Chino", "چینی"),
                    _choice("en", "English", "英语", "Inglés", "انگلیسی"),
                    _choice("es", "Spanish", "西班牙语", "Español", "اسپانیایی"),
                    _choice("fa", "Persian", "波斯语", "Persa", "فارسی"),
                ],
            },
            {
                "name": "buys",
                "label": _four("Buys now", "现在购买", "Compra ahora", "اکنون می‌خرد"),
                "kind": "yes_no",
                "required": True,
            },
        ],
        "next": [{"when": {"field": "buys", "is": True}, "to": "sold"}],
        "otherwise": "thinking",
    },
    _end("sold", "sold", _four(
        "Wonderful. You get a message as soon as it is on its way.",
        "太好了，发货后您会收到消息。",
        "Estupendo. Recibirá un mensaje en cuanto salga.",
        "عالی است. به محض ارسال پیامی دریافت می‌کنید.")),
    _end("thinking", "answered", _THANKS),
]  # fmt: skip

SCRIPTS = (
    ("service-call", "service", _four("Service call", "客服来电", "Llamada de atención",
                                      "تماس خدمات"), SERVICE),
    ("sales-call", "sales", _four("Sales call", "销售来电", "Llamada de ventas", "تماس فروش"),
     SALES),
)  # fmt: skip
"""(code, queue, titles, steps)."""
