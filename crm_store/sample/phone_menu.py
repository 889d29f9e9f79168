"""The sample mall's phone menu, in four languages: what callers of its main number hear.

Owns sample data only: the tree as plain values (its form is ivr/menus/tree.py), published as its
first version where there is no menu yet.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from crm_store.database import Transaction
from crm_store.models import PhoneMenu, Queue
from crm_store.phone_menus import menus
from crm_store.sample.catalogue import four

CODE = menus.MAIN
WRITTEN_BY = "chief"
LANGUAGES = ("en", "zh", "es", "fa")


def _choice(key: str, to: str, texts: dict[str, str]) -> dict[str, Any]:
    return {"key": key, "texts": texts, "to": to}


def _function(function: str, to: str) -> dict[str, Any]:
    return {"id": function, "kind": "function", "function": function, "to": to}


TITLES = four("Main menu", "主菜单", "Menú principal", "منوی اصلی")

TREE: dict[str, Any] = {
    "languages": list(LANGUAGES),
    "start": "language",
    "agents": {"queue": "service", "by_language": {"zh": "service_zh"}},
    "hours": "agents",
    "nodes": [
        {"id": "language", "kind": "function", "function": "language", "to": "welcome"},
        {
            "id": "welcome",
            "kind": "say",
            "texts": four(
                "Welcome to our mall.",
                "欢迎致电本商场。",
                "Bienvenido a nuestro centro comercial.",
                "به مرکز خرید ما خوش آمدید.",
            ),
            "to": "open",
        },
        {
            "id": "open",
            "kind": "hours",
            "calendar": "house",
            "open": "main",
            "closed": "closed",
        },
        {
            "id": "closed",
            "kind": "say",
            "texts": four(
                "We are closed at the moment. You can use this menu at any time.",
                "现在不是营业时间，但您可以随时使用本菜单。",
                "En este momento estamos cerrados. Puede usar este menú a cualquier hora.",
                "در حال حاضر بسته هستیم. می‌توانید هر زمان از این منو استفاده کنید.",
            ),
            "to": "main",
        },
        {
            "id": "main",
            "kind": "menu",
            "choices": [
                _choice("1", "points", four(
                    "For your points", "查询积分", "Para sus puntos", "برای امتیازهای شما")),
                _choice("2", "order", four(
                    "For your orders", "查询订单", "Para sus pedidos", "برای سفارش‌های شما")),
                _choice("3", "product", four(
                    "For prices and stock", "查询价格和库存", "Para precios y existencias",
                    "برای قیمت و موجودی")),
                _choice("4", "mall", four(
                    "To hear about our mall", "了解本商场", "Para saber de nuestro centro",
                    "برای آشنایی با مرکز خرید")),
                _choice("5", "complaint", four(
                    "For a complaint", "投诉", "Para una reclamación", "برای شکایت")),
                _choice("6", "letting", four(
                    "To rent a stand with us", "租用摊位", "Para alquilar un puesto",
                    "برای اجارهٔ غرفه")),
                _choice("7", "callback", four(
                    "To be called back", "预约回电", "Para que le llamemos",
                    "برای تماس ما با شما")),
                _choice("8", "message", four(
                    "To leave a message", "留言", "Para dejar un mensaje", "برای گذاشتن پیام")),
                _choice("9", "service", four(
                    "To speak with us", "人工服务", "Para hablar con nosotros",
                    "برای گفتگو با ما")),
            ],
        },
        _function("points", "main"),
        _function("order", "main"),
        _function("product", "main"),
        {
            "id": "mall",
            "kind": "menu",
            "choices": [
                _choice("1", "hours", four(
                    "For our opening hours", "营业时间", "Para el horario", "برای ساعت کار")),
                _choice("2", "promotions", four(
                    "For today's promotions", "今日优惠", "Para las promociones de hoy",
                    "برای پیشنهادهای ویژهٔ امروز")),
                _choice("3", "places", four(
                    "To find a shop", "店铺位置", "Para encontrar una tienda",
                    "برای پیدا کردن فروشگاه‌ها")),
                _choice("4", "cards", four(
                    "For the cards that we accept", "可用银行卡", "Para las tarjetas que aceptamos",
                    "برای کارت‌هایی که می‌پذیریم")),
                _choice("5", "way", four(
                    "For the way to us", "交通路线", "Para saber cómo llegar",
                    "برای نشانی و مسیر")),
                _choice("6", "parking", four(
                    "For parking", "停车", "Para el aparcamiento", "برای پارکینگ")),
                _choice("7", "dining", four(
                    "For dining", "餐饮", "Para los restaurantes", "برای رستوران‌ها")),
                _choice("8", "medical", four(
                    "For medical help", "医疗救助", "Para ayuda médica", "برای کمک پزشکی")),
            ],
        },
        _function("hours", "mall"),
        _function("promotions", "mall"),
        _function("places", "mall"),
        _function("cards", "mall"),
        _function("way", "mall"),
        _function("parking", "mall"),
        _function("dining", "mall"),
        _function("medical", "mall"),
        _function("complaint", "main"),
        _function("letting", "main"),
        {"id": "callback", "kind": "function", "function": "callback"},
        {"id": "message", "kind": "message"},
        {"id": "service", "kind": "queue"},
    ],
}  # fmt: skip


async def fill_phone_menu(transaction: Transaction) -> None:
    """Publish the menu where there is none of its code. The mall's queues must be there."""
    session = transaction.session
    known = await session.scalar(select(PhoneMenu.id).where(PhoneMenu.code == CODE))
    if known is not None:
        return
    queues = set(await session.scalars(select(Queue.name)))
    menu_id = await menus.MENUS.create(transaction, CODE, TITLES, actor=WRITTEN_BY)
    number = await menus.MENUS.add_version(transaction, menu_id, tree(queues), actor=WRITTEN_BY)
    await menus.MENUS.publish(transaction, menu_id, number, problems=(), actor=WRITTEN_BY)


def tree(queues: set[str]) -> dict[str, Any]:
    """The tree, without a language's own queue where there is none."""
    agents = TREE["agents"]
    by_language = {
        language: queue for language, queue in agents["by_language"].items() if queue in queues
    }
    return TREE | {"agents": agents | {"by_language": by_language}}
