"""Complaints, and being called back.

Owns those pages. What becomes of a complaint, and whose turn a callback is, is the store's; only a
number that the customer has is called, so that nobody can have strangers called.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of
from agent_desk.hall.account import person_of
from agent_desk.hall.codes import HALL_ACTOR
from agent_desk.hall.frame import Form, done, form_of, hall_page
from agent_desk.hall.visitor import HALL, HOUSE
from agent_desk.languages import Language
from crm_store.contacts import callbacks, queue_places
from crm_store.contacts.callbacks import NewCallback
from crm_store.database import Transaction
from crm_store.models import Complaint, ContactKind
from crm_store.people import complaints
from crm_store.people.customers import CustomerCard
from crm_store.phone_menus import opening_hours
from crm_store.search_terms import fold_letters
from crm_store.shop import orders
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord

LONGEST_COMPLAINT = 4_000
MOST_A_DAY = 10
"""So many complaints a customer may file within a day: more are one, or none."""

FARTHEST = timedelta(days=30)
"""An hour for a callback is no further ahead."""


# ---- complaints ----------------------------------------------------------------------------------


def _categories(_: Language) -> dict[str, str]:
    return {
        "product": _("A product"),
        "delivery": _("A delivery"),
        "staff": _("How I was treated"),
        "billing": _("A bill or a payment"),
        "premises": _("The house itself"),
        "other": _("Something else"),
    }


async def show_complaints(request: web.Request) -> web.StreamResponse:
    """GET /hall/complaints ?about=: the customer's complaints, and a form for a new one."""
    number = orders.order_number(request.query.get("about", "")) or ""
    subject = ""
    if number:
        _ = language_of(request)
        subject = f"{_('Order')} {orders.shown_number(number)}"
    return await _complaints(request, Form({}, language_of(request)), subject=subject)


async def file_complaint(request: web.Request) -> web.StreamResponse:
    """POST /hall/complaints, fields `category`, `subject` and `text`."""
    form = await form_of(request)
    _ = form.language
    category = form.choice("category", _categories(_))
    subject = form.text("subject", longest=complaints.LONGEST_SUBJECT)
    text = form.needed("text", _("Write what is not as it should be."), longest=LONGEST_COMPLAINT)
    person = await person_of(request)
    database = request.app[PARTS].database
    filed = await complaints.of_customer(database, person.id, limit=MOST_A_DAY)
    today = [one for one in filed if one.filed_at > datetime.now(UTC) - timedelta(days=1)]
    if any((one.text, one.category) == (text, category) for one in today):
        # The same again is the form that was sent twice.
        raise done(f"{HALL}/complaints", "filed")
    if len(today) >= MOST_A_DAY:
        form.faults.say("text", _("That is a lot for one day. Call us, please: we want to help."))
    if form.faults:
        return await _complaints(request, form, subject=subject)
    async with database.transaction() as transaction:
        await complaints.file(
            transaction,
            text,
            actor=HALL_ACTOR,
            customer_id=person.id,
            category=category,
            subject=subject,
        )
    raise done(f"{HALL}/complaints", "filed")


async def _complaints(request: web.Request, form: Form, *, subject: str) -> web.Response:
    _ = language_of(request)
    person = await person_of(request)
    filed = await complaints.of_customer(request.app[PARTS].database, person.id, limit=50)
    return hall_page(
        request,
        "complaints.html",
        faults=form.faults,
        filed=filed,
        category=form.text("category") or "product",
        categories=_categories(_),
        subject=subject,
        text=form.text("text", longest=LONGEST_COMPLAINT),
        longest=LONGEST_COMPLAINT,
        state_said=lambda one: _complaint_state(one, _),
        shown_number=complaints.shown_number,
    )


def _complaint_state(one: Complaint, _: Language) -> str:
    return _("Settled") if one.closed_at is not None else _("We are at it")


# ---- being called back ---------------------------------------------------------------------------


async def show_callback(request: web.Request) -> web.StreamResponse:
    """GET /hall/callback: the form, and the calls that are agreed already."""
    return await _callback(request, Form({}, language_of(request)))


async def ask_callback(request: web.Request) -> web.StreamResponse:
    """POST /hall/callback, fields `queue`, `number` (one of the customer's), `about` and, for a
    certain hour in the house's time, `at`."""
    form = await form_of(request)
    _, house = form.language, request[HOUSE]
    person = await person_of(request)
    database = request.app[PARTS].database
    served = {queue.name: queue for queue in await queues.all_queues(database)}
    queue = served.get(form.choice("queue", served))
    numbers = dict.fromkeys(_numbers(person))
    number = form.choice("number", numbers) if numbers else ""
    if not numbers:
        form.faults.say("number", _("Add your telephone number to your profile first."))
    about = form.text("about", longest=500)
    now = datetime.now(UTC)
    at = _hour(form, house.zone, now)
    if queue is not None and not form.faults:
        calendar = await opening_hours.read(database, queue.hours)
        wanted = at or now
        if not calendar.is_open(wanted):
            opens = calendar.next_change(wanted)
            if at is not None:
                form.faults.say("at", _("We are closed then. Choose an hour when we are open."))
            else:
                at = opens
    if form.faults or queue is None:
        return await _callback(request, form)
    wish = NewCallback(
        queue=queue.name,
        number=number,
        arrived_at=now,
        at=at.astimezone(UTC) if at is not None else None,
        head_start_seconds=queue_places.head_start_seconds(queue, person.segment),
        name=person.name,
        language=_.code,
        customer_id=person.id,
        text=about,
    )

    async def keep(transaction: Transaction) -> None:
        await callbacks.request(transaction, wish, actor=HALL_ACTOR)

    await database.run(keep)
    raise done(f"{HALL}/callback", "called")


async def cancel_callback(request: web.Request) -> web.StreamResponse:
    """POST /hall/callback/{callback_id}/cancel: they need not call."""
    callback_id = id_in(request, "callback_id")
    person = await person_of(request)
    database = request.app[PARTS].database
    mine = await callbacks.open_of(database, customer_id=person.id)
    if callback_id not in {one.id for one in mine}:
        raise web.HTTPNotFound
    async with database.transaction() as transaction:
        await callbacks.cancel(transaction, callback_id, actor=HALL_ACTOR, outcome="cancelled")
    raise done(f"{HALL}/callback", "not-called")


def _numbers(person: CustomerCard) -> list[str]:
    return [way.value for way in person.contact_points if way.kind is ContactKind.PHONE]


def _hour(form: Form, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The hour that was asked for; None for none, and a fault for one that cannot be."""
    _ = form.language
    text = fold_letters(form.text("at", longest=30))
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        form.faults.say("at", _("Choose a day and an hour."))
        return None
    if not now < moment < now + FARTHEST:
        form.faults.say("at", _("Choose an hour within the next thirty days."))
    return moment


async def _callback(request: web.Request, form: Form) -> web.Response:
    _, house = language_of(request), request[HOUSE]
    person = await person_of(request)
    database = request.app[PARTS].database
    served: dict[str, QueueRecord] = {one.name: one for one in await queues.all_queues(database)}
    return hall_page(
        request,
        "callback.html",
        faults=form.faults,
        agreed=[
            (one, served[one.queue].title(_.code) if one.queue in served else "")
            for one in await callbacks.open_of(database, customer_id=person.id)
        ],
        queues=[(one.name, one.title(_.code)) for one in served.values()],
        numbers=[(number, number) for number in _numbers(person)],
        queue=form.text("queue"),
        number=form.text("number"),
        about=form.text("about", longest=500),
        at=form.text("at", longest=30),
        earliest=datetime.now(house.zone).strftime("%Y-%m-%dT%H:%M"),
        latest=(datetime.now(house.zone) + FARTHEST).strftime("%Y-%m-%dT%H:%M"),
        now=datetime.now(UTC),
    )


ROUTES = (
    Route("GET", f"{HALL}/complaints", show_complaints, Access.CUSTOMERS),
    Route("POST", f"{HALL}/complaints", file_complaint, Access.CUSTOMERS),
    Route("GET", f"{HALL}/callback", show_callback, Access.CUSTOMERS),
    Route("POST", f"{HALL}/callback", ask_callback, Access.CUSTOMERS),
    Route("POST", f"{HALL}/callback/{{callback_id}}/cancel", cancel_callback, Access.CUSTOMERS),
)
