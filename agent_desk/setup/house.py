"""The supervisors' page of the house, /setup/house: what callers and the web are told of it.

Owns the form of the facts. What they are, and what may be, is the store's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web
from babel.numbers import list_currencies

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of, signed_in
from agent_desk.languages import NAMES, Language
from agent_desk.setup.opening_hours import countries, country_of, zones
from agent_desk.setup.pages import FormFaults, SetupForm, done, form_of, setup_page
from crm_store.shop import house
from crm_store.shop.house import MOST_QUESTIONS, TOPICS, CardProof, House, Question

HERE = "/setup/house"
LONGEST_TEXT = 1_000
LONGEST_QUESTION = 300


def _topics(_: Language) -> dict[str, str]:
    return {
        "address": _("Address"),
        "how_to_get_there": _("How to get there"),
        "parking": _("Parking"),
        "dining": _("Dining"),
        "medical": _("Medical help"),
        "cards_accepted": _("Cards that are taken"),
        "places": _("Where things are"),
    }


def _proofs(_: Language) -> dict[str, str]:
    return {
        CardProof.NUMBER_OR_PIN.value: _("They call from the owner's number, or key the PIN"),
        CardProof.NUMBER.value: _("They call from the owner's number"),
        CardProof.PIN.value: _("They key the card's PIN"),
        CardProof.NONE.value: _("Nothing: whoever has the card's number hears its points"),
    }


async def show_house(request: web.Request) -> web.StreamResponse:
    """GET /setup/house: the facts, in a form."""
    return _form(request, await house.read(request.app[PARTS].database), None)


async def change_house(request: web.Request) -> web.StreamResponse:
    """POST /setup/house."""
    database = request.app[PARTS].database
    form = await form_of(request)
    facts = _read(form, language_of(request), await house.read(database))
    if form.faults:
        return _form(request, facts, form.faults)
    async with database.transaction() as transaction:
        await house.write(transaction, facts, actor=signed_in(request).agent.login)
    raise done(HERE, "saved")


def _read(form: SetupForm, _: Language, before: House) -> House:
    """The facts that the form says; its `faults` say what is wrong with them."""
    currency = form.text("currency", longest=3).upper()
    if currency not in list_currencies():
        form.faults.say("currency", _("Write a currency's three letters, such as EUR."))
        currency = before.currency
    zone = form.text("time_zone", longest=60)
    if zone not in zones():
        form.faults.say("time_zone", _("Choose one of the list."))
        zone = before.time_zone
    country, part = country_of(form, _)
    proof = form.choice("card_proof", _proofs(_))
    return replace(
        before,
        names=form.titles("name"),
        currency=currency,
        time_zone=zone,
        holiday_country=country,
        holiday_subdivision=part,
        points_worth_minor_per_100=form.number("points_worth", 0, 1_000_000),
        points_valid_months=form.number("points_valid_months", 0, 600),
        points_expiry_notice_days=form.number("points_expiry_notice_days", 0, 366),
        card_proof=CardProof(proof) if proof in set(CardProof) else before.card_proof,
        texts={topic: _by_language(form, f"text.{topic}", LONGEST_TEXT) for topic in TOPICS},
        survey=_questions(form, _),
        sms_sender=form.text("sms_sender", longest=20),
    )


def _questions(form: SetupForm, _: Language) -> tuple[Question, ...]:
    found: list[Question] = []
    for place in range(MOST_QUESTIONS):
        texts = _by_language(form, f"question.{place}", LONGEST_QUESTION)
        if not texts:
            continue
        if "en" not in texts:
            form.faults.say(f"question.{place}.en", _("Write it in English too."))
        code = form.text(f"question.{place}.code", longest=40) or f"question{place + 1}"
        if code in {one.code for one in found}:
            code = f"{code}{place + 1}"
        found.append(Question(code, texts))
    return tuple(found)


def _by_language(form: SetupForm, name: str, longest: int) -> dict[str, str]:
    texts = {code: form.text(f"{name}.{code}", longest=longest) for code in NAMES}
    return {code: text for code, text in texts.items() if text}


def _form(request: web.Request, facts: House, faults: FormFaults | None) -> web.Response:
    _ = language_of(request)
    questions: list[Any] = [(one.code, one.texts) for one in facts.survey]
    questions += [("", {})] * (MOST_QUESTIONS - len(questions))
    return setup_page(
        request,
        "setup/house.html",
        HERE,
        facts=facts,
        topics=list(_topics(_).items()),
        proofs=list(_proofs(_).items()),
        questions=questions,
        countries=countries(_.code),
        zones=zones(),
        longest_text=LONGEST_TEXT,
        longest_question=LONGEST_QUESTION,
        faults=faults,
    )


ROUTES = (
    Route("GET", HERE, show_house, Access.SUPERVISORS),
    Route("POST", HERE, change_house, Access.SUPERVISORS),
)
