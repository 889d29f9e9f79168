"""Which language the caller speaks: known from their record, else asked, each in its own words."""

from __future__ import annotations

from collections.abc import Sequence

from ivr.conversation.conversation import Conversation, GoBack, Sentence, TooManyMistakes
from ivr.menus.tree import CHOICE_KEYS

ROUNDS = 2
"""So often the languages are offered before the first of them is spoken."""


def known_language(talk: Conversation, languages: Sequence[str]) -> str | None:
    """The language of the customer's record, if the menu is there in it ("zh-CN" is "zh")."""
    recorded = talk.customer.language if talk.customer is not None else ""
    short = recorded.replace("_", "-").split("-", 1)[0]
    return short if short in languages else None


async def choose_language(talk: Conversation, languages: Sequence[str]) -> None:
    """Speak the caller's language from here on. Raises WantsAgent, CallerHungUp."""
    known = known_language(talk, languages)
    if known is not None:
        talk.language = known
        return
    offered = dict(zip(CHOICE_KEYS, languages, strict=False))
    choices = {
        key: Sentence("language_choice", language=language) for key, language in offered.items()
    }
    talk.language = languages[0]
    if len(offered) < 2:
        return
    for _ in range(ROUNDS):
        try:
            key = await talk.choose(choices)
        except GoBack:
            continue
        except TooManyMistakes:
            break
        talk.language = offered[key]
        return
