"""The menu that a house begins with: everything that can be said, in all languages.

Owns its tree and that a house without a main menu gets it. From then on it is the supervisors' own:
it is never written again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy.exc import IntegrityError

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.phone_menus import menus, opening_hours
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from crm_store.versions import Unpublishable
from ivr import prompts
from ivr.menus import publishing
from ivr.menus import tree as trees
from ivr.menus.tree import Choice, Function, Menu, Queue, QueueTarget, Tree

log = logging.getLogger(__name__)

TITLES = {"en": "Main menu", "zh": "主菜单", "es": "Menú principal", "fa": "منوی اصلی"}


def _texts(en: str, zh: str, es: str, fa: str) -> dict[str, str]:
    return {"en": en, "zh": zh, "es": es, "fa": fa}


_MAIN: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("1", "points", _texts("For your points", "查询积分", "Para sus puntos", "برای امتیازهایتان")),
    ("2", "order", _texts("For an order", "查询订单", "Para un pedido", "برای سفارش")),
    ("3", "product", _texts("For goods and prices", "查询商品和价格",
                            "Para productos y precios", "برای کالاها و قیمت‌ها")),
    ("4", "mall", _texts("About the mall", "了解商场", "Sobre el centro comercial",
                         "دربارهٔ مرکز خرید")),
    ("5", "complaint", _texts("For a complaint", "投诉", "Para una reclamación", "برای شکایت")),
    ("9", "people", _texts("To speak with a colleague", "转接人工服务",
                           "Para hablar con una persona", "برای گفت‌وگو با همکار ما")),
)  # fmt: skip
_MALL: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("1", "hours", _texts("For the opening hours", "营业时间", "Para los horarios",
                          "برای ساعت‌های کار")),
    ("2", "promotions", _texts("For today's promotions", "今日优惠",
                               "Para las promociones de hoy", "برای تخفیف‌های امروز")),
    ("3", "places", _texts("For where to find what", "店铺位置", "Para saber dónde está todo",
                           "برای جای فروشگاه‌ها")),
    ("4", "cards", _texts("For the cards that we take", "支付方式",
                          "Para las tarjetas que aceptamos", "برای کارت‌های پذیرفته‌شده")),
    ("5", "way", _texts("For how to get here", "到达方式", "Para saber cómo llegar",
                        "برای راه رسیدن")),
    ("6", "parking", _texts("For parking", "停车", "Para el aparcamiento", "برای پارکینگ")),
    ("7", "dining", _texts("For food and drink", "餐饮", "Para comer y beber",
                           "برای خوردن و نوشیدن")),
    ("8", "medical", _texts("For medical help", "医疗救助", "Para ayuda médica",
                            "برای کمک پزشکی")),
    ("9", "letting", _texts("To rent a stand", "租赁摊位", "Para alquilar un puesto",
                            "برای اجارهٔ غرفه")),
)  # fmt: skip


def first_tree(agents: QueueTarget, hours: str = opening_hours.HOUSE) -> Tree:
    """The tree, with the people of `agents` behind 0 while the calendar `hours` is open."""
    functions = [(node, back) for rows, back in ((_MAIN, "welcome"), (_MALL, "mall"))
                 for _, node, _ in rows if node not in ("mall", "people")]  # fmt: skip
    return Tree(
        languages=prompts.LANGUAGES,
        start="language",
        agents=agents,
        hours=hours,
        nodes=(
            Function(id="language", function="language", to="welcome"),
            Menu(
                id="welcome",
                texts=_texts("Welcome.", "欢迎致电。", "Bienvenido.", "خوش آمدید."),
                choices=_choices(_MAIN),
            ),
            Menu(id="mall", choices=_choices(_MALL)),
            *(Function(id=node, function=node, to=back) for node, back in functions),
            Queue(id="people"),
        ),
    )


def _choices(rows: Sequence[tuple[str, str, Mapping[str, str]]]) -> tuple[Choice, ...]:
    return tuple(Choice(key=key, texts=dict(texts), to=node) for key, node, texts in rows)


async def provide(database: Database, preferred: str = "") -> None:
    """Publish the first menu if the house has none of its code. `preferred` names the queue of 0;
    "" for the one whose number is lowest. Without a queue there is nothing to lead to yet."""
    known = await queues.all_queues(database)
    if not known or await menus.MENUS.of_code(database, menus.MAIN) is not None:
        return
    tree = first_tree(_people(known, preferred))

    async def write(transaction: Transaction) -> int:
        menu_id = await menus.MENUS.create(transaction, menus.MAIN, TITLES, actor=audit.SYSTEM)
        await menus.MENUS.add_version(transaction, menu_id, trees.write(tree), actor=audit.SYSTEM)
        return menu_id

    try:
        menu_id = await database.run(write)
        await publishing.publish(database, menu_id, 1, actor=audit.SYSTEM)
    except IntegrityError:
        return  # another node was quicker
    except Unpublishable as error:
        log.warning("the first phone menu waits for a supervisor: %s", error)


def _people(known: Sequence[QueueRecord], preferred: str) -> QueueTarget:
    """The queue of 0, with those of its name in a language: service_zh beside service."""
    names = {queue.name for queue in known}
    queue = preferred if preferred in names else min(known, key=lambda one: one.number).name
    spoken = {code: f"{queue}_{code}" for code in prompts.LANGUAGES if f"{queue}_{code}" in names}
    return QueueTarget(queue=queue, by_language=spoken)
