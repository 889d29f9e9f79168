"""STOP, START and HELP: how customers say what they want to be sent, in four languages.

Owns the spellings, and what follows from them: an address that is opted out or in again, and one
answer. Only a message that is nothing else counts: "please stop the delivery" is for an agent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from channels.answering import CannotAnswer, answer
from channels.incoming import Incoming
from crm_store import audit
from crm_store.contacts import conversations
from crm_store.database import Transaction
from crm_store.models import Channel, Conversation, Purpose
from crm_store.people import preferences
from crm_store.search_terms import fold_letters


class Word(StrEnum):
    """What the customer wants."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Said:
    """A word, and the language it was said in; "" where several have it."""

    word: Word
    language: str


_SPELLINGS: Mapping[Word, Mapping[str, str]] = {
    Word.STOP: {
        "": "stop; cancel",
        "en": "stopall; stop all; unsubscribe; end; quit; optout; opt out; opt-out; revoke; "
        "stop it; please stop; no more; remove me; unsuscribe; unsubcribe",
        "zh": "退订; 退訂; 取消订阅; 取消訂閱; 停止; 拒收; 不要再发; 不要再發; td; 退订短信",
        "es": "alto; parar; pare; para; baja; darme de baja; dar de baja; cancelar; detener; "
        "no mas; basta; salir; eliminar; desuscribir",
        "fa": "لغو; لغو 11; لغو11; توقف; انصراف; لغو عضویت; قطع; نفرستید; نفرست; حذف",
    },
    Word.START: {
        "": "start",
        "en": "unstop; subscribe; optin; opt in; opt-in; resume",
        "zh": "订阅; 訂閱; 恢复; 恢復; 恢复订阅; 恢復訂閱; 开始; 開始; 重新订阅",
        "es": "iniciar; inicio; empezar; comenzar; alta; darme de alta; suscribir; reanudar",
        "fa": "شروع; عضویت; فعال; وصل; آغاز",
    },
    Word.HELP: {
        "": "info",
        "en": "help; help me",
        "zh": "帮助; 幫助; 幫忙; 帮忙",
        "es": "ayuda; ayudame; ayúdame",
        "fa": "راهنما; کمک; راهنمایی",
    },
}

# What Chinese senders name in every bulk SMS; a single letter elsewhere may mean anything.
_CHINESE_LETTERS = {"t": Word.STOP, "r": Word.STOP}

LONGEST = 40
"""Characters; nothing longer is one of the words."""

_NOT_LETTERS = re.compile(r"[\W_]+")


def _folded(text: str) -> str:
    return _NOT_LETTERS.sub(
        " ", fold_letters(text.replace("\N{ZERO WIDTH NON-JOINER}", ""))
    ).strip()


_SAID = {
    _folded(spelling): Said(word, language)
    for word, by_language in _SPELLINGS.items()
    for language, spellings in by_language.items()
    for spelling in spellings.split("; ")
}


def said_in(text: str, number: str = "") -> Said | None:
    """What the message says if it is one of the words and nothing else, however it is written:
    large or small, with accents or without, in quotes, with a full stop. `number` (E.164) tells
    whether a Chinese letter is meant."""
    if len(text) > LONGEST:
        return None
    folded = _folded(text)
    if number.startswith("+86") and folded in _CHINESE_LETTERS:
        return Said(_CHINESE_LETTERS[folded], "zh")
    return _SAID.get(folded)


HEARD_ON = frozenset({Channel.SMS, Channel.MESSENGER})

_ANSWERS: Mapping[Word, Mapping[str, str]] = {
    Word.STOP: {
        "en": "{house}: you will get no more messages from us here. Send START to get them again.",
        "zh": "{house}:我们不会再向您发送消息。如需恢复,请回复“订阅”。",
        "es": "{house}: no le enviaremos más mensajes. Envíe ALTA para recibirlos de nuevo.",
        "fa": "{house}: دیگر پیامی برای شما نمی‌فرستیم. برای دریافت دوباره، «شروع» را بفرستید.",
    },
    Word.START: {
        "en": "{house}: you get our messages again. Send STOP to end them.",
        "zh": "{house}:您已恢复接收我们的消息。如需退订,请回复“退订”。",
        "es": "{house}: vuelve a recibir nuestros mensajes. Envíe BAJA para dejar de recibirlos.",
        "fa": "{house}: دوباره پیام‌های ما را دریافت می‌کنید. برای پایان، «لغو» را بفرستید.",
    },
    Word.HELP: {
        "en": "{house}: write what you need, and one of us answers. Send STOP to get no more "
        "messages.",
        "zh": "{house}:请直接写下您的问题,我们的同事会回复您。如需退订,请回复“退订”。",
        "es": "{house}: escriba lo que necesita y le responderemos. Envíe BAJA para no recibir más "
        "mensajes.",
        "fa": "{house}: بنویسید چه می‌خواهید تا همکاران ما پاسخ دهند. برای پایان پیام‌ها، «لغو» را "
        "بفرستید.",
    },
}


class StopWords:
    """The inbox's hook for these words. `house` is how we are called; `language` is spoken to whom
    none is known."""

    def __init__(self, house: str, *, language: str = "en") -> None:
        self._house = house
        self._language = language

    async def __call__(
        self, transaction: Transaction, incoming: Incoming, message_id: int, conversation_id: int
    ) -> bool:
        """Do what a word says, and answer it once: who says STOP twice is not written to again."""
        said = None
        if incoming.channel in HEARD_ON and not incoming.files and not incoming.automatic:
            said = said_in(incoming.text, incoming.sender)
        if said is None:
            return False
        address = incoming.sender
        if said.word is Word.STOP:
            is_news = await preferences.opt_out(
                transaction, incoming.channel, address, by="customer", reason="wrote STOP"
            )
        elif said.word is Word.START:
            is_news = await preferences.opt_in(
                transaction, incoming.channel, address, by="customer"
            )
        else:
            is_news = True
        conversation = await transaction.session.get_one(
            Conversation, conversation_id, populate_existing=True
        )
        if is_news:
            language = said.language or conversation.language
            texts = _ANSWERS[said.word]
            text = texts.get(language) or texts[self._language]
            # One a day for HELP, so that two machines do not help each other for ever.
            key = f"{said.word} {incoming.channel} {address} " + (
                f"{incoming.received_at:%Y-%m-%d}" if said.word is Word.HELP else str(message_id)
            )
            # Where no answer can be sent, the word counts all the same.
            with suppress(CannotAnswer):
                await answer(
                    transaction,
                    conversation_id,
                    author=audit.SYSTEM,
                    text=text.format(house=self._house),
                    purpose=Purpose.AUTOMATIC,
                    idempotency_key=key,
                )
        if conversation.waiting_since == incoming.received_at:
            # Nothing else of theirs waits: no agent needs to look at it.
            await conversations.close(transaction, conversation_id, actor=audit.SYSTEM)
        return True
