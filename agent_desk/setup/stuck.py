"""The supervisors' page of what is stuck, /setup/stuck: messages and jobs that wait for a person.

Owns how it is shown, and that trying again is one click, written down. When to give up is the
outbox's and the jobs' own.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import func, select

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, id_in, language_of, signed_in
from agent_desk.languages import Language
from agent_desk.setup.pages import audited, done, setup_page
from crm_store import jobs
from crm_store.contacts import outbox
from crm_store.models import MessageState, OutboxMessage

HERE = "/setup/stuck"
SHOWN = 100
LONGEST_SAID = 300


async def show_stuck(request: web.Request) -> web.StreamResponse:
    """GET /setup/stuck: what could not be sent or may have been, jobs that were given up, and how
    many messages wait on each channel."""
    _ = language_of(request)
    database = request.app[PARTS].database
    channels, states = desk_texts(_)["channel"], _states(_)
    async with database.reading() as session:
        parked = await jobs.parked(session, SHOWN)
        waiting = await session.execute(
            select(OutboxMessage.channel, func.count(), func.min(OutboxMessage.due_at))
            .where(OutboxMessage.state.in_((MessageState.WAITING, MessageState.SENDING)))
            .group_by(OutboxMessage.channel)
        )
        lines = [(channels[channel], count, since) for channel, count, since in waiting]
    messages = await outbox.undecided(database, limit=SHOWN)
    return setup_page(
        request,
        "setup/stuck.html",
        HERE,
        waiting=sorted(lines),
        messages=[
            (one, channels[one.channel], states.get(one.state, one.state.value), one.error)
            for one in messages
        ],
        jobs=[(job, job.error[:LONGEST_SAID]) for job in parked],
        shown=SHOWN,
    )


async def send_again(request: web.Request) -> web.StreamResponse:
    """POST /setup/stuck/messages/{outbox_id}/again: the message waits to be sent once more."""
    outbox_id = id_in(request, "outbox_id")
    actor = signed_in(request).agent.login
    async with request.app[PARTS].database.transaction() as transaction:
        if not await outbox.send_again(transaction, outbox_id, actor=actor):
            raise web.HTTPConflict(text=_gone(language_of(request)))
    raise done(HERE, "saved")


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /setup/stuck/messages/{outbox_id}/cancel: the message is not sent."""
    outbox_id = id_in(request, "outbox_id")
    actor = signed_in(request).agent.login
    async with request.app[PARTS].database.transaction() as transaction:
        if not await outbox.cancel(transaction, outbox_id, actor=actor):
            raise web.HTTPConflict(text=_gone(language_of(request)))
    raise done(HERE, "saved")


async def try_again(request: web.Request) -> web.StreamResponse:
    """POST /setup/stuck/jobs/{job_id}/again: the job is tried anew, with all its tries."""
    job_id = id_in(request, "job_id")
    database = request.app[PARTS].database
    async with database.transaction() as transaction:
        if not await jobs.retry(transaction.session, job_id):
            raise web.HTTPConflict(text=_gone(language_of(request)))
        await audited(request, transaction, "tried again", ("job", job_id))
    database.job_written.set()
    raise done(HERE, "saved")


ROUTES = (
    Route("GET", HERE, show_stuck, Access.SUPERVISORS),
    Route("POST", HERE + "/messages/{outbox_id}/again", send_again, Access.SUPERVISORS),
    Route("POST", HERE + "/messages/{outbox_id}/cancel", cancel, Access.SUPERVISORS),
    Route("POST", HERE + "/jobs/{job_id}/again", try_again, Access.SUPERVISORS),
)


def _gone(_: Language) -> str:
    return _("Somebody has seen to it already. Load the page again.")


def _states(_: Language) -> dict[MessageState, str]:
    return {
        MessageState.FAILED: _("could not be sent"),
        MessageState.UNCERTAIN: _("may have been sent: nobody knows"),
    }
