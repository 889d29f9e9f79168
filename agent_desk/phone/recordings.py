"""Recordings to listen to: what is known of one, and its sound.

Owns who may hear one: supervisors, who was on the call, and whoever may see the customer whose call
it was. Each hearing is audited. Refuses to know how sound is kept.
"""

from __future__ import annotations

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import (
    PARTS,
    address_of,
    is_supervisor,
    json_answer,
    language_of,
    signed_in,
)
from crm_store import audit
from crm_store.contacts import recordings
from crm_store.contacts.recordings import RecordingRecord


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
    parts = request.app[PARTS]
    path = parts.call_verbs.recording_file(found)
    if path is None:
        _ = language_of(request)
        raise web.HTTPNotFound(text=_("The sound of this recording is not here."))
    if request.method != "HEAD" and request.headers.get("Range", "bytes=0-").startswith("bytes=0-"):
        # A player asks for the rest in pieces: one hearing is one entry.
        async with parts.database.transaction() as transaction:
            await audit.record(
                transaction,
                actor=signed_in(request).agent.login,
                action="heard",
                subject_kind="recording",
                subject_id=found.id,
                address=address_of(request),
            )
    return web.FileResponse(path, headers={"Content-Type": "audio/wav"})


async def _allowed(request: web.Request) -> RecordingRecord:
    """The recording of the path. Raises HTTPNotFound, and HTTPForbidden for who may not hear it."""
    number = request.match_info["recording_id"]
    database = request.app[PARTS].database
    known = number.isascii() and number.isdigit() and len(number) <= 18
    found = await recordings.find(database, int(number)) if known else None
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
