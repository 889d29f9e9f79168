"""The prompts: every sentence that a caller may hear, by its code and in the caller's language.

Owns the built-in sentences (English here, the rest in locale/), their placeholders, their forms for
one and for many, and that a supervisor's own text comes before ours. What a value sounds like is
speech's; when a sentence is said is the menus'. Labels of choices say what a key is for; the key
itself is named by `choice`, so that no text can name a wrong one.
"""

from __future__ import annotations

import gettext
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

log = logging.getLogger(__name__)

LOCALE_FOLDER = Path(__file__).with_name("locale")
DOMAIN = "ivr"
LANGUAGES = ("en", "zh", "es", "fa")

ONE = ".one"
"""A supervisor's own text for exactly one stands under the code with this behind it."""

_PLACE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence in English. `one` is its form where the value `counted` is exactly one. A label
    says what a key is for, and stands in `choice`."""

    text: str
    one: str = ""
    counted: str = ""
    is_label: bool = False

    @property
    def places(self) -> frozenset[str]:
        """The placeholders that a text for it may have."""
        return frozenset(_PLACE.findall(self.text))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: fixed words, or the name of the value that stands here."""

    text: str
    is_value: bool


def _many(text: str, one: str, counted: str) -> Prompt:
    return Prompt(text, one, counted)


def _label(text: str) -> Prompt:
    return Prompt(text, is_label=True)


PROMPTS: Mapping[str, Prompt] = {
    # Keys
    "choice": Prompt("{label}, press {key}."),
    **{f"key_{digit}": Prompt(digit) for digit in "0123456789"},
    "zero_for_agent": Prompt("For a colleague, press 0 at any time."),
    "star_to_go_back": Prompt("To go back, press the star key."),
    "not_a_choice": Prompt("Sorry, that is not one of the choices."),
    "nothing_keyed": Prompt("Sorry, I have not heard anything."),
    "goodbye": Prompt("Thank you for calling. Goodbye."),
    "trouble": Prompt("I am sorry, I cannot look that up just now. A colleague will help you."),
    # Language
    "language_choice": _label("For English"),
    # Points
    "points_own_card": _label("For the points on your card ending in {digits}"),
    "points_another_card": _label("For another card"),
    "points_ask_card": Prompt("Please key in your card number, then press the hash key."),
    "points_card_wrong": Prompt(
        "These digits do not make up a card number. Please look at your card and try once more."
    ),
    "points_card_unknown": Prompt(
        "I do not find a card with this number. Please look at your card and try once more."
    ),
    "points_ask_pin": Prompt("Please key in the PIN of your card, then press the hash key."),
    "points_pin_wrong": Prompt("Card number and PIN do not go together. Please try once more."),
    "points_other_number": Prompt(
        "For your protection, we tell the points of a card only on the telephone number that is "
        "registered with it. A colleague will help you."
    ),
    "too_many_attempts": Prompt(
        "There have been too many attempts. For the protection of our customers, "
        "a colleague will help you."
    ),
    "points_balance": _many("You have {points} points.", "You have one point.", "points"),
    "points_none": Prompt("There are no points on this card."),
    "points_worth": Prompt("That is worth {money}."),
    "points_expiring": _many(
        "{points} points expire {day}.", "One point expires {day}.", "points"
    ),
    # Orders
    "orders_last": _label("For your last order, placed {day}"),
    "orders_another": _label("For another order"),
    "orders_ask_number": Prompt("Please key in your order number, then press the hash key."),
    "orders_number_wrong": Prompt(
        "These digits do not make up an order number. Please check it and try once more."
    ),
    "orders_unknown": Prompt(
        "I do not find an order with this number. Please check it and try once more."
    ),
    "order_number": Prompt("Your order {number}."),
    "order_placed": Prompt("We received it {day}, and are preparing it."),
    "order_reserved": Prompt("The goods were set aside for you {day}."),
    "order_packed": Prompt("It was packed {day}."),
    "order_shipped": Prompt("It was shipped {day}."),
    "order_ready": Prompt("It is ready for you to pick up. It arrived here {day}."),
    "order_delivered": Prompt("It was delivered {day}."),
    "order_cancelled": Prompt("It was cancelled {day}."),
    "order_returned": Prompt("It came back to us {day}."),
    "order_expected": Prompt("You can expect it {day}."),
    "order_total": Prompt("The total is {money}."),
    # Products
    "products_ask": Prompt("Please key in the item number, then press the hash key."),
    "products_unknown": Prompt(
        "I do not find an item with this number. Please check it and try once more."
    ),
    "product_price": Prompt("{name}: {money}."),
    "product_stock": _many(
        "{place}: {quantity} in stock.", "{place}: one in stock.", "quantity"
    ),
    "product_out_of_stock": Prompt("It is out of stock at the moment."),
    # The mall
    "hours_today": Prompt("Today we are open from {opens} to {closes}."),
    "hours_tomorrow": Prompt("Tomorrow we are open from {opens} to {closes}."),
    "hours_also": Prompt("And from {opens} to {closes}."),
    "hours_all_day_today": Prompt("Today we are open all day and night."),
    "hours_all_day_tomorrow": Prompt("Tomorrow we are open all day and night."),
    "hours_closed_today": Prompt("Today we are closed."),
    "hours_closed_tomorrow": Prompt("Tomorrow we are closed."),
    "hours_holiday_today": Prompt("Today is a holiday: {holiday}."),
    "hours_holiday_tomorrow": Prompt("Tomorrow is a holiday: {holiday}."),
    "hours_open_again": Prompt("We are open again {day}, from {opens}."),
    "hours_closed_now": Prompt("We are closed at the moment."),
    "promotions_today": _many(
        "There are {count} promotions today.", "There is one promotion today.", "count"
    ),
    "promotions_none": Prompt("There are no promotions today."),
    "mall_not_known": Prompt("I am sorry, I have no information on that."),
    "house_text": Prompt("{text}"),
    # A number to be called at
    "number_this": _label("To be called at {number}, from which you are calling"),
    "number_another": _label("To be called at another number"),
    "number_ask": Prompt(
        "Please key in the number with its area code, then press the hash key."
    ),
    "number_wrong": Prompt("We cannot call this number. Please try once more."),
    "number_read_back": Prompt("We will call {number}."),
    "number_right": _label("If that is right"),
    "number_again": _label("To key it in again"),
    # A stand
    "letting_intro": Prompt(
        "For a stand in our house, leave us a number, and our leasing team will call you back."
    ),
    "letting_done": Prompt("Thank you. Our leasing team will call you at {number}."),
    # Complaints
    "complaint_speak": Prompt(
        "We are sorry that something went wrong. Please tell us after the tone what happened, "
        "then press the hash key."
    ),
    "complaint_number": Prompt("Thank you. Your complaint has the number {number}."),
    "complaint_number_again": Prompt("Once more: {number}."),
    "complaint_sms": Prompt("You will also get this number by text message."),
    "complaint_next": Prompt("We will look into it and get back to you."),
    "complaint_sms_text": Prompt("{house}: your complaint has the number {number}."),
    "complaint_by_voice": Prompt("Complaint by telephone, see the recording."),
    # To an agent
    "agent_now": Prompt("I am putting you through to a colleague. One moment, please."),
    "agent_next": Prompt("You are next."),
    "agent_place": Prompt("You are {place} in the queue."),
    "agent_wait": Prompt("You will wait {wait}."),
    "agent_way_out": Prompt(
        "To hear your place, or to be called back, press {key} while you wait."
    ),
    # Waiting
    "waiting_stay": _label("To stay on the line"),
    "waiting_callback": _label("To keep your place and be called back"),
    "waiting_message": _label("To leave a message"),
    "waiting_on": Prompt("You keep your place. One moment, please."),
    "callback_offer": _label("To be called back"),
    "waiting_nobody": Prompt("Nobody can take your call at the moment."),
    "callback_in_turn": _label("To be called as soon as it is your turn"),
    "callback_at_hour": _label("To be called at a certain hour"),
    "callback_ask_hour": Prompt(
        "When may we call you? Please key in four digits, two for the hour and two for the "
        "minutes. For half past three in the afternoon, key in 1 5 3 0."
    ),
    "callback_no_hour": Prompt("That is not a time of day. Please try once more."),
    "callback_closed_then": Prompt("We are closed at that hour. Please choose another one."),
    "callback_read_back": Prompt("We will call {number}, {day} at {time}."),
    "callback_done_in_turn": Prompt(
        "Thank you. You keep your place, and we will call {number} when it is your turn. Goodbye."
    ),
    "callback_done_at_hour": Prompt(
        "Thank you. We will call {number}, {day} at {time}. Goodbye."
    ),
    # A message
    "message_speak": Prompt(
        "Please leave your message after the tone, then press the hash key."
    ),
    "message_empty": Prompt("I have not heard a message."),
    "message_send": _label("To send your message"),
    "message_again": _label("To speak it again"),
    "message_done": Prompt("Thank you. Your message is on its way to us. Goodbye."),
    "message_title": Prompt("Message by telephone: {queue}"),
    "letting_title": Prompt("Enquiry about a stand"),
    "complaint_title": Prompt("Complaint {number}"),
    # Survey
    "survey_may_we": _many(
        "May we ask you {count} short questions about this call?",
        "May we ask you one short question about this call?",
        "count",
    ),
    "survey_yes": _label("If you like"),
    "survey_no": _label("If you would rather not"),
    "survey_scale": Prompt("Key in a digit, from {least}, the worst, to {most}, the best."),
    "survey_thanks": Prompt("Thank you for your answer. Goodbye."),
}  # fmt: skip
"""All built-in prompts by code."""


class Prompts:
    """The prompts of one published menu: a supervisor's `own` texts (code, language) before ours.

    A code without a built-in prompt is one of the menu's nodes.
    """

    def __init__(self, own: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._own = own or {}

    def text(self, code: str, language: str, count: float | None = None) -> str:
        """The sentence with its placeholders, in the form that goes with `count`.

        Raises KeyError for a code that is neither built in nor the menu's own.
        """
        own = self._own.get(code, {}).get(language, "")
        one = self._own.get(code + ONE, {}).get(language, "") if count == 1 else ""
        if one or own:
            return one or own
        if code not in PROMPTS:
            raise KeyError(code)
        return built_in(code, language, count)

    def choice(self, label: str, key: str, language: str) -> str:
        """The sentence that names a key for a choice; `label` may have placeholders."""
        named = self.text(f"key_{key}", language)
        whole = self.text("choice", language)
        return whole.replace("{key}", named).replace("{label}", label)


def built_in(code: str, language: str, count: float | None = None) -> str:
    """Our own sentence. Raises KeyError for an unknown code."""
    prompt = PROMPTS[code]
    texts = _catalogue(language)
    if not prompt.one:
        return texts.pgettext(code, prompt.text)
    # A catalogue counts in whole numbers: 1.5 is many, wherever 1 is not.
    number = 1 if count == 1 else 2
    return texts.npgettext(code, prompt.one, prompt.text, number)


def pieces(text: str) -> list[Piece]:
    """The text cut at its placeholders."""
    found: list[Piece] = []
    end = 0
    for place in _PLACE.finditer(text):
        found.append(Piece(text[end : place.start()], False))
        found.append(Piece(place[1], True))
        end = place.end()
    found.append(Piece(text[end:], False))
    return [piece for piece in found if piece.text]


def mistakes(code: str, text: str) -> list[str]:
    """What an own text has that it cannot have: unknown placeholders and lone braces."""
    prompt = PROMPTS.get(code.removesuffix(ONE))
    known = prompt.places if prompt is not None else frozenset()
    found = [place[0] for place in _PLACE.finditer(text) if place[1] not in known]
    rest = _PLACE.sub("", text)
    return found + [brace for brace in "{}" if brace in rest]


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    # A catalogue that is missing costs its texts, not the call.
    return gettext.translation(DOMAIN, LOCALE_FOLDER, [language], fallback=True)


def compile_catalogues() -> None:
    """Make the .mo files that are missing or older than their .po. Raises OSError."""
    for source in sorted(LOCALE_FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as lines:
            catalogue = read_po(lines)
        # Written beside and renamed: another process may be reading, or compiling too.
        fresh = target.with_suffix(f".mo.{id(catalogue):x}")
        with fresh.open("wb") as file:
            write_mo(file, catalogue)
        fresh.replace(target)
        log.info("compiled %s", target.relative_to(LOCALE_FOLDER))


if __name__ == "__main__":
    compile_catalogues()
