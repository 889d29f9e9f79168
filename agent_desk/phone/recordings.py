"""Recordings to listen to: what is known of one, and its sound.

Owns who may hear one: supervisors, who was on the call, and whoever may see the customer whose call
it was. Each hearing is audited. Refuses to know how sound is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    address_of,
    id_in,
    is_supervisor,
    json_answer,
    language_of,
    signed_in,
)
from crm_store import audit
from crm_store.contacts import recordings
from crm_store.contacts.recordings import RecordingRecord

ONE_HEARING: Final = timedelta(minutes=10)
"""Requests of one person for the same sound within this time are one hearing."""


async def show_recording(request: web.Request) -> web.StreamResponse:
    """GET: {"id", "pbx", "call", "started_by", "started_at", "seconds" (null while it goes on),
    "marks": [{"kind": "pause" or "resume", "at": seconds, "by": login}], "has_sound"}."""
    found = await _allowed(request)
    return json_answer(
        {
            "id": found.id,
            "pbx": found.pbx,
            "call": found.linkedid,
            "started_by": found.started_by,
            "started_at": found.started_at,
            "seconds": found.seconds,
            "marks": found.marks,
            "has_sound": request.app[PARTS].call_verbs.recording_file(found) is not None,
        }
    )


async def play_recording(request: web.Request) -> web.StreamResponse:
    """GET, also for a Range: the sound as WAV. 404 when the file is not here. Audited."""
    found = await _allowed(request)
    path = request.app[PARTS].call_verbs.recording_file(found)
    if path is None:
        _ = language_of(request)
        raise web.HTTPNotFound(text=_("The sound of this recording is not here."))
    if request.method != "HEAD":
        await _audit(request, found.id)
    return web.FileResponse(path, headers={"Content-Type": "audio/wav"})


async def _audit(request: web.Request, recording_id: int) -> None:
    """One hearing is one entry, in however many pieces a player asks for it, and from wherever."""
    database = request.app[PARTS].database
    login = signed_in(request).agent.login
    heard = await audit.entries(
        database, subject_kind="recording", subject_id=recording_id, actor=login, limit=1
    )
    if heard and heard[0].at > datetime.now(UTC) - ONE_HEARING:
        return
    async with database.transaction() as transaction:
        await audit.record(
            transaction,
            actor=login,
            action="heard",
            subject_kind="recording",
            subject_id=recording_id,
            address=address_of(request),
        )


async def _allowed(request: web.Request) -> RecordingRecord:
    """The recording of the path. Raises HTTPNotFound, and HTTPForbidden for who may not hear it."""
    database = request.app[PARTS].database
    found = await recordings.find(database, id_in(request, "recording_id"))
    if found is None:
        raise web.HTTPNotFound
    session = signed_in(request)
    if not (
        is_supervisor(session)
        or await recordings.was_with_customer(database, found) is not None
        or await recordings.talked_in_it(database, found, session.agent.login)
    ):
        raise web.HTTPForbidden
    return found


ROUTES = (
    Route("GET", "/api/recordings/{recording_id}", show_recording, Access.AGENTS),
    Route("GET", "/recordings/{recording_id}/audio", play_recording, Access.AGENTS),
)
