"""A customer's data: taken along, erased; and where they are signed in.

Owns those pages. What belongs to somebody, what goes and what must stay is the store's to say.
Erasing needs a code besides the session, for it cannot be undone: a telephone that lies about, or a
desk left open, must not be enough.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PAGES, PARTS, language_of
from agent_desk.hall.account import person_of
from agent_desk.hall.codes import (
    ASKED_COOKIE,
    HALL_ACTOR,
    CodeAddress,
    is_code,
    remember,
    remembered,
    remembered_address,
    send_code,
)
from agent_desk.hall.erased_files import write_job
from agent_desk.hall.export_archive import ArchivedFile, write_archive
from agent_desk.hall.frame import Form, done, form_of, hall_page
from agent_desk.hall.visitor import (
    HALL,
    HALL_COOKIE,
    HOUSE,
    customer,
    customer_if_any,
    forget_hall_cookie,
)
from crm_store import audit
from crm_store.contacts import recordings
from crm_store.database import Transaction
from crm_store.models import ContactKind
from crm_store.people import customers, hall_sessions, personal_data
from crm_store.people.personal_data import PersonalData
from crm_store.people.sign_in_codes import CodePurpose

log = logging.getLogger(__name__)

HERE = f"{HALL}/privacy"
ERASURE = "hall_erasure"
"""What is remembered of an erasure until its code is given."""

PIECE_BYTES = 65_536
EXPORTS = web.AppKey("exports", asyncio.Semaphore)
EXPORTS_AT_ONCE = 2


async def show_privacy(request: web.Request) -> web.StreamResponse:
    """GET /hall/privacy: what is kept and why; for who is signed in, what can be done about it."""
    return await _privacy(request, Form({}, language_of(request)))


async def export(request: web.Request) -> web.StreamResponse:
    """POST /hall/privacy/export: all that is kept of the customer, as a zip archive."""
    person = await person_of(request)
    database = request.app[PARTS].database
    async with request.app[EXPORTS]:
        found = await personal_data.export(database, person.id)
        page = (
            request.app[PAGES]
            .get_template("hall/export.html")
            .render(
                _=language_of(request),
                language=language_of(request),
                house_name=request[HOUSE].name(language_of(request).code),
                data=found.tables,
                made_at=datetime.now(UTC).isoformat(timespec="minutes"),
            )
        )
        files = [
            ArchivedFile(path, one.name)
            for one in found.attachments
            if (path := _kept(request, one.file)) is not None
        ]
        files += [ArchivedFile(path, f"call-{path.name}") for path in await _sounds(request, found)]
        archive, size = await asyncio.to_thread(write_archive, found.tables, page, files)
    async with database.transaction() as transaction:
        await audit.record(
            transaction,
            actor=HALL_ACTOR,
            action="exported",
            subject_kind="customer",
            subject_id=person.id,
        )
    log.info("customer %d took their data along", person.id)
    try:
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/zip",
                "Content-Disposition": 'attachment; filename="my-data.zip"',
                "Content-Length": str(size),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )
        await response.prepare(request)
        while piece := await asyncio.to_thread(archive.read, PIECE_BYTES):
            await response.write(piece)
        await response.write_eof()
    finally:
        archive.close()
    return response


async def _sounds(request: web.Request, found: PersonalData) -> list[Path]:
    """The recordings that are kept of these calls."""
    parts = request.app[PARTS]
    records = [await recordings.find(parts.database, one.id) for one in found.recordings]
    paths = [parts.call_verbs.recording_file(record) for record in records if record is not None]
    return [path for path in paths if path is not None]


def _kept(request: web.Request, file: str) -> Path | None:
    """Where a file of a message is; None where none are kept, or it is not in their folder."""
    folder = request.app[PARTS].hall.attachments_folder
    if folder is None or not file:
        return None
    path = folder / file
    return path if path.resolve().is_relative_to(folder.resolve()) else None


async def ask_erasure(request: web.Request) -> web.StreamResponse:
    """POST /hall/privacy/erase: a code is sent, and what goes and what stays is said."""
    form = await form_of(request)
    _ = form.language
    person = await person_of(request)
    carried = request.app[PARTS].hall.sends_codes_by
    ways = (
        CodeAddress(way.kind, way.value)
        for way in person.contact_points
        if way.kind in (ContactKind.PHONE, ContactKind.MAIL)
    )
    address = next((way for way in ways if way.channel in carried), None)
    if address is None:
        form.faults.say("erase", _("We cannot send you a code. Come to our service desk, please."))
        return await _privacy(request, form, status=409)
    if not await send_code(request, address, CodePurpose.PROOF, customer_id=person.id):
        form.faults.say("erase", _("Too many codes were asked for. Try again in an hour."))
        return await _privacy(request, form, status=429)
    response = web.HTTPSeeOther(f"{HERE}/erase")
    says = {"kind": address.kind.value, "value": address.value, "customer": str(person.id)}
    await remember(request, response, ERASURE, says)
    raise response


async def show_erasure(request: web.Request) -> web.StreamResponse:
    """GET /hall/privacy/erase: the last question, and where the code is typed."""
    asked = await _asked(request)
    return hall_page(request, "erase.html", address=asked["value"])


async def erase(request: web.Request) -> web.StreamResponse:
    """POST /hall/privacy/erase/confirm, fields `code` and `sure`: the customer's data is erased. It
    cannot be undone."""
    asked = await _asked(request)
    form = await form_of(request)
    _ = form.language
    address = remembered_address(asked)
    if not form.ticked("sure"):
        form.faults.say("sure", _("Tick that you are sure."))
    elif not await is_code(request, address, CodePurpose.PROOF, form.text("code")):
        form.faults.say(
            "code",
            _("That is not the code, or it is too old. Check it, or have a new one sent."),
        )
    if form.faults:
        return hall_page(request, "erase.html", faults=form.faults, address=address.value)
    customer_id = customer(request).customer_id
    database = request.app[PARTS].database
    # Where they are is known from their rows, which will be gone.
    sounds = await _sounds(request, await personal_data.export(database, customer_id))

    async def go(transaction: Transaction) -> None:
        gone = await personal_data.erase(transaction, customer_id, actor=HALL_ACTOR)
        kept = [path for file in gone.attachments if (path := _kept(request, file)) is not None]
        await write_job(transaction, customer_id, [*kept, *sounds], gone.calls)

    await database.run(go)
    log.info("customer %d had their data erased", customer_id)
    response = done(HALL, "erased")
    forget_hall_cookie(response, HALL_COOKIE)
    forget_hall_cookie(response, ASKED_COOKIE)
    raise response


async def _asked(request: web.Request) -> dict[str, str]:
    asked = await remembered(request, ERASURE)
    if asked is None or asked["customer"] != str(customer(request).customer_id):
        raise web.HTTPSeeOther(HERE)
    return asked


async def _privacy(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    session = customer_if_any(request)
    places = 0
    if session is not None:
        database = request.app[PARTS].database
        person = await customers.same_person(database, session.customer_id)
        places = await hall_sessions.count(database, person)
    return hall_page(request, "privacy.html", status=status, faults=form.faults, devices=places)


ROUTES = (
    Route("GET", HERE, show_privacy, Access.EVERYBODY),
    Route("POST", f"{HERE}/export", export, Access.CUSTOMERS),
    Route("POST", f"{HERE}/erase", ask_erasure, Access.CUSTOMERS),
    Route("GET", f"{HERE}/erase", show_erasure, Access.CUSTOMERS),
    Route("POST", f"{HERE}/erase/confirm", erase, Access.CUSTOMERS),
)
