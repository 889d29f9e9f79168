"""The sample mall's desk: its staff with their skills, its queues, and what they choose from.

Owns sample data only, and leaves alone what is there already. Sets no passwords.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from crm_store.database import Transaction
from crm_store.models import (
    Agent,
    Disposition,
    PauseReason,
    Queue,
    RecordingPolicy,
    Role,
    Skill,
)
from crm_store.staff import agents, queues, skills
from crm_store.staff.queues import QueueRecord


@dataclass(frozen=True, slots=True)
class _Person:
    """`queues` with the person's own penalties, `skills` with their levels."""

    login: str
    display_name: str
    extension: str
    role: Role
    language: str
    queues: dict[str, int]
    skills: dict[str, int]


STAFF = (
    _Person("lin", "林晓", "1001", Role.AGENT, "zh",
            {"sales": 0, "service": 0, "vip": 0, "service_zh": 0},
            {"chinese": 5, "english": 4, "vip_care": 5}),
    _Person("maria", "María López", "1002", Role.AGENT, "es",
            {"sales": 0, "service": 0},
            {"spanish": 5, "english": 4, "chinese": 2}),
    _Person("sara", "سارا احمدی", "1003", Role.AGENT, "fa",
            {"service": 0, "sales": 0},
            {"persian": 5, "english": 5}),
    _Person("james", "James Carter", "1004", Role.AGENT, "en",
            {"sales": 0, "service": 0, "information": 0},
            {"english": 5}),
    _Person("wei", "陈伟", "1005", Role.AGENT, "zh",
            {"service": 0, "vip": 0, "service_zh": 0},
            {"chinese": 5, "vip_care": 5}),
    _Person("emma", "Emma Wilson", "1006", Role.AGENT, "en",
            {"sales": 0, "vip": 0, "information": 1},
            {"english": 5, "chinese": 1, "vip_care": 4}),
    _Person("chief", "Alex Morgan", "1010", Role.SUPERVISOR, "en",
            {"sales": 5, "service": 5, "vip": 5},
            {"english": 5, "vip_care": 5}),
    _Person("admin", "Administrator", "1011", Role.ADMIN, "en", {}, {}),
)  # fmt: skip


def _titles(en: str, zh: str, es: str, fa: str) -> dict[str, str]:
    return {"en": en, "zh": zh, "es": es, "fa": fa}


SKILLS = {
    "chinese": _titles("Chinese", "中文", "Chino", "چینی"),
    "english": _titles("English", "英语", "Inglés", "انگلیسی"),
    "spanish": _titles("Spanish", "西班牙语", "Español", "اسپانیایی"),
    "persian": _titles("Persian", "波斯语", "Persa", "فارسی"),
    "vip_care": _titles("Care of VIPs", "贵宾接待", "Trato a clientes VIP", "خدمت به مشتریان ویژه"),
}
ASKED_FOR = {"vip": {"vip_care": 3}, "service_zh": {"chinese": 3}}
"""By queue: the skills that it asks for, with the least level."""

DISPOSITIONS = {
    "answered": _titles("Question answered", "问题已解答", "Consulta resuelta", "پاسخ داده شد"),
    "sold": _titles("Sold", "已成交", "Vendido", "فروخته شد"),
    "points": _titles("Points", "积分事宜", "Puntos", "امتیازها"),
    "order": _titles("About an order", "订单事宜", "Sobre un pedido", "دربارهٔ سفارش"),
    "complaint": _titles("Complaint", "投诉", "Reclamación", "شکایت"),
    "callback": _titles("Call back", "需回电", "Devolver la llamada", "تماس دوباره"),
    "wrong_number": _titles("Wrong number", "打错电话", "Número equivocado", "شمارهٔ اشتباه"),
}
"""The top of the tree; what is under a branch stands in BRANCHES."""

BRANCHES = {
    "points": {
        "points_balance": _titles("Balance told", "已告知余额", "Saldo informado",
                                  "موجودی گفته شد"),
        "points_missing": _titles("Points missing", "积分未到账", "Faltan puntos",
                                  "امتیاز ثبت نشده"),
        "points_spent": _titles("Points spent", "积分兑换", "Canje de puntos", "خرج امتیاز"),
    },
    "order": {
        "order_status": _titles("Status told", "已告知进度", "Estado informado", "وضعیت گفته شد"),
        "order_late": _titles("Has not arrived", "尚未送达", "No ha llegado", "نرسیده است"),
        "order_changed": _titles("Changed", "已更改", "Modificado", "تغییر کرد"),
        "order_returned": _titles("Return agreed", "同意退货", "Devolución acordada", "مرجوعی شد"),
    },
    "complaint": {
        "complaint_goods": _titles("About goods", "商品问题", "Sobre un producto", "دربارهٔ کالا"),
        "complaint_service": _titles("About service", "服务问题", "Sobre la atención",
                                     "دربارهٔ رفتار"),
        "complaint_house": _titles("About the house", "设施问题", "Sobre el centro",
                                   "دربارهٔ ساختمان"),
    },
}  # fmt: skip
FOLLOW_UPS = {
    "callback": "callback",
    "points_missing": "task",
    "order_late": "callback",
    "order_returned": "task",
    "complaint_goods": "task",
    "complaint_service": "callback",
    "complaint_house": "task",
}
PAUSE_REASONS = {
    "break": _titles("Break", "休息", "Descanso", "استراحت"),
    "lunch": _titles("Lunch", "午餐", "Comida", "ناهار"),
    "training": _titles("Training", "培训", "Formación", "آموزش"),
    "meeting": _titles("Meeting", "会议", "Reunión", "جلسه"),
}
QUEUES = (
    QueueRecord(
        name="sales",
        number="600",
        titles=_titles("Sales", "销售", "Ventas", "فروش"),
        overflow="service",
        max_wait_seconds=120,
        exit_key="1",
        exit_target="voicemail",
        dispositions=("sold", "answered", "order", "callback", "wrong_number"),
    ),
    QueueRecord(
        name="service",
        number="601",
        titles=_titles("Customer service", "客户服务", "Atención al cliente", "خدمات مشتریان"),
        strategy="leastrecent",
        overflow="waiting_menu",
        exit_key="1",
        exit_target="waiting_menu",
        wrap_up_seconds=45,
        dispositions=("answered", "points", "order", "complaint", "callback", "wrong_number"),
    ),
    QueueRecord(
        name="vip",
        number="602",
        titles=_titles("VIP desk", "贵宾服务", "Clientes VIP", "مشتریان ویژه"),
        strategy="ringall",
        ring_seconds=25,
        overflow="service",
        max_wait_seconds=60,
        wrap_up_seconds=60,
        wrap_up_extra_seconds=600,
        recording=RecordingPolicy.ALWAYS,
        missed_rings=2,
        dispositions=("answered", "sold", "points", "order", "complaint", "callback"),
    ),
    QueueRecord(
        name="information",
        number="603",
        titles=_titles("Information", "咨询热线", "Información", "اطلاعات"),
        strategy="fewestcalls",
        ring_seconds=10,
        overflow="hangup",
        wrap_up_seconds=10,
        wrap_up_extra_seconds=60,
        recording=RecordingPolicy.NEVER,
        auto_answer=True,
        dispositions=("answered", "wrong_number"),
    ),
    QueueRecord(
        name="service_zh",
        number="604",
        titles=_titles("Customer service in Chinese", "中文客户服务",
                       "Atención al cliente en chino", "خدمات مشتریان به چینی"),
        strategy="leastrecent",
        wrap_up_seconds=45,
        max_wait_seconds=90,
        overflow="service",
        exit_key="1",
        exit_target="waiting_menu",
        dispositions=("answered", "points", "order", "complaint", "callback", "wrong_number"),
    ),
)  # fmt: skip


async def fill_desk(transaction: Transaction) -> None:
    """Write what is missing; what is there by name is left as somebody may have changed it."""
    session = transaction.session
    known = set(await session.scalars(select(Skill.code)))
    for position, (code, titles) in enumerate(SKILLS.items()):
        if code not in known:
            await skills.save_skill(transaction, code, titles, position)
    await _fill_dispositions(transaction)
    known = set(await session.scalars(select(PauseReason.code)))
    for position, (code, titles) in enumerate(PAUSE_REASONS.items()):
        if code not in known:
            await queues.save_pause_reason(transaction, code, titles, position)
    known = set(await session.scalars(select(Queue.name)))
    for queue in QUEUES:
        if queue.name not in known:
            await queues.save(transaction, queue)
            await skills.ask_for(transaction, queue.name, ASKED_FOR.get(queue.name, {}))
    known = set(await session.scalars(select(Agent.login)))
    for person in STAFF:
        if person.login not in known:
            agent_id = await agents.save(
                transaction,
                login=person.login,
                display_name=person.display_name,
                extension=person.extension,
                role=person.role,
                language=person.language,
                queues=person.queues,
            )
            await skills.set_levels(transaction, agent_id, person.skills)


async def _fill_dispositions(transaction: Transaction) -> None:
    known = set(await transaction.session.scalars(select(Disposition.code)))
    rows = [(code, titles, None) for code, titles in DISPOSITIONS.items()] + [
        (code, titles, parent)
        for parent, leaves in BRANCHES.items()
        for code, titles in leaves.items()
    ]
    for position, (code, titles, parent) in enumerate(rows):
        if code not in known:
            await queues.save_disposition(
                transaction,
                code,
                titles,
                position,
                parent=parent,
                follow_up=FOLLOW_UPS.get(code, ""),
            )
