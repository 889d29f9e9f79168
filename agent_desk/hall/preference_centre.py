"""What a customer wants to be told of, and how: the preference centre, and links that opt out.

Owns those pages. What may be written to whom is the store's to say. A link in a mail needs no
sign-in: it is signed, and speaks of one address. GET only shows, so that no scanner of mails opts
anybody out; POST does it at one click (RFC 8058), whoever sends it.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of
from agent_desk.hall.account import person_of
from agent_desk.hall.codes import HALL_ACTOR
from agent_desk.hall.frame import done, form_of, hall_page
from agent_desk.hall.visitor import HALL
from agent_desk.languages import Language
from crm_store.database import Transaction
from crm_store.models import Channel, ContactKind
from crm_store.people import contact_points, preferences
from crm_store.people.preferences import ASKED_FIRST, REACHED_AT, Subject
from crm_store.people.signed_links import OPT_OUT, signer

HERE = f"{HALL}/preferences"
OFFERED = (Channel.MAIL, Channel.SMS, Channel.PHONE, Channel.MESSENGER)
_WRITTEN_TO = {
    ContactKind.MAIL: (Channel.MAIL,),
    ContactKind.PHONE: (Channel.SMS, Channel.PHONE),
    ContactKind.MESSENGER: (Channel.MESSENGER,),
}


def _subjects(_: Language) -> dict[Subject, tuple[str, str]]:
    return {
        Subject.ORDERS: (_("Orders"), _("How far they are")),
        Subject.POINTS: (_("Points"), _("Before they expire")),
        Subject.PROMOTIONS: (_("Offers"), _("Only if you say so")),
        Subject.CARE: (_("Greetings"), _("On your birthday and on holidays")),
        Subject.SURVEYS: (_("Questions"), _("How content you are")),
    }


def _channels(_: Language) -> dict[Channel, str]:
    return {
        Channel.MAIL: _("Mail"),
        Channel.SMS: _("SMS"),
        Channel.PHONE: _("Telephone"),
        Channel.MESSENGER: _("Messenger"),
    }


@dataclass(frozen=True, slots=True)
class Silenced:
    """An address that wants nothing more of a subject; "" is nothing at all."""

    channel: Channel
    address: str
    subject: str


async def show_preferences(request: web.Request) -> web.StreamResponse:
    """GET /hall/preferences: subjects and channels, and addresses that want nothing more."""
    _ = language_of(request)
    person = await person_of(request)
    wanted = await _wanted(request, person.id)
    offered = {way.kind for way in person.contact_points}
    channels = [one for one in OFFERED if REACHED_AT[one] in offered]
    subjects = _subjects(_)
    return hall_page(
        request,
        "preferences.html",
        channels=[(one, _channels(_)[one]) for one in channels],
        subjects=[
            (subject, name, about, [(one, wanted[subject, one]) for one in channels])
            for subject, (name, about) in subjects.items()
        ],
        silenced=[
            (
                one,
                _channels(_)[one.channel],
                subjects[Subject(one.subject)][0] if one.subject in set(Subject) else "",
            )
            for one in await _silenced(request, person.id)
        ],
    )


async def keep_preferences(request: web.Request) -> web.StreamResponse:
    """POST /hall/preferences, a field `subject.channel` for each that is wanted."""
    form = await form_of(request)
    person = await person_of(request)
    offered = {way.kind for way in person.contact_points}
    wanted = await _wanted(request, person.id)

    async def keep(transaction: Transaction) -> None:
        for (subject, channel), is_wanted in wanted.items():
            says = form.ticked(f"{subject.value}.{channel.value}")
            if REACHED_AT[channel] in offered and says is not is_wanted:
                await preferences.prefer(
                    transaction, person.id, subject, channel, says, by=HALL_ACTOR
                )

    await request.app[PARTS].database.run(keep)
    raise done(HERE, "saved")


async def hear_again(request: web.Request) -> web.StreamResponse:
    """POST /hall/preferences/again, fields `channel`, `address` and `subject`: one of the
    customer's own addresses is written to again."""
    form = await form_of(request)
    person = await person_of(request)
    found = Silenced(
        Channel(form.choice("channel", {one.value: one for one in OFFERED}) or Channel.MAIL),
        form.text("address", longest=254),
        form.text("subject"),
    )
    if found not in await _silenced(request, person.id):
        raise web.HTTPNotFound
    subject = Subject(found.subject) if found.subject else None
    async with request.app[PARTS].database.transaction() as transaction:
        await preferences.opt_in(
            transaction, found.channel, found.address, subject=subject, by=HALL_ACTOR
        )
    raise done(HERE, "saved")


async def _wanted(request: web.Request, customer_id: int) -> dict[tuple[Subject, Channel], bool]:
    said = await preferences.of_customer(request.app[PARTS].database, customer_id)
    return {
        (subject, channel): said.get((subject, channel), subject not in ASKED_FIRST)
        for subject in Subject
        for channel in OFFERED
    }


async def _silenced(request: web.Request, customer_id: int) -> list[Silenced]:
    database = request.app[PARTS].database
    return [
        Silenced(channel, one.address, one.subject)
        for way in await contact_points.of_customer(database, customer_id)
        for channel in _WRITTEN_TO.get(way.kind, ())
        for one in await preferences.opt_outs_of(database, channel, way.value)
    ]


# ---- by a link in a mail -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptOutLink:
    """What a signed link speaks of; no subject is everything."""

    channel: Channel
    address: str
    subject: Subject | None


async def _link(request: web.Request) -> OptOutLink:
    """What the token in the address says. Raises HTTPNotFound for one that is not ours."""
    ours = await signer(request.app[PARTS].database)
    says = ours.read(OPT_OUT, request.match_info["token"])
    if says is None:
        _ = language_of(request)
        raise web.HTTPNotFound(
            text=_("This link is not one of ours, or it is too old. Sign in, or write to us.")
        )
    subject = str(says["subject"])
    return OptOutLink(
        Channel(str(says["channel"])), str(says["address"]), Subject(subject) if subject else None
    )


async def show_opt_out(request: web.Request) -> web.StreamResponse:
    """GET /hall/opt-out/{token}: what the link would do. It does nothing yet."""
    return await _opt_out_page(request, await _link(request), "")


async def opt_out(request: web.Request) -> web.StreamResponse:
    """POST /hall/opt-out/{token}: the address wants no more of it. One click of a mail program
    (`List-Unsubscribe=One-Click`), or our own page, whose field `do` may be `all` or `again`."""
    link = await _link(request)
    asked = await _asked(request)
    subject = None if asked == "all" else link.subject

    async def write(transaction: Transaction) -> None:
        if asked == "again":
            await preferences.opt_in(
                transaction, link.channel, link.address, subject=link.subject, by="link"
            )
        else:
            await preferences.opt_out(
                transaction, link.channel, link.address, subject=subject, by="link"
            )

    await request.app[PARTS].database.run(write)
    return await _opt_out_page(request, link, asked or "this")


async def _asked(request: web.Request) -> str:
    """The page's field `do`; "" for what mail programs send, in whatever form."""
    if request.content_type != "application/x-www-form-urlencoded":
        return ""
    said = str((await request.post()).get("do", ""))
    return said if said in ("all", "again") else ""


async def _opt_out_page(request: web.Request, link: OptOutLink, was: str) -> web.Response:
    _ = language_of(request)
    return hall_page(
        request,
        "opt_out.html",
        address=link.address,
        channel=_channels(_).get(link.channel, link.channel.value),
        subject=_subjects(_)[link.subject][0] if link.subject else "",
        was=was,
    )


ROUTES = (
    Route("GET", HERE, show_preferences, Access.CUSTOMERS),
    Route("POST", HERE, keep_preferences, Access.CUSTOMERS),
    Route("POST", f"{HERE}/again", hear_again, Access.CUSTOMERS),
    Route("GET", f"{HALL}/opt-out/{{token}}", show_opt_out, Access.EVERYBODY),
    Route(
        "POST",
        f"{HALL}/opt-out/{{token}}",
        opt_out,
        Access.EVERYBODY,
        exempt_from_csrf=True,
        takes_multipart=True,
    ),
)
