"""Search over a million messages: how long each kind of question takes, on both databases.

Owns a corpus in four languages with words as common as in real ones (Zipf), written once into a
database of its own in the bench's folder, and the questions. Each question goes the whole way that
a page's does: people, numbers, the index, the rows, the excerpts.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert, text

from bench import stores
from crm_store import everything_search, text_search
from crm_store.contacts.conversation_lists import SeenBy
from crm_store.database import Database
from crm_store.everything_search import Wanted
from crm_store.keyed_numbers import draw
from crm_store.migrations import migrate
from crm_store.models import (
    Channel,
    ContactKind,
    ContactPoint,
    Conversation,
    ConversationState,
    Customer,
    Interaction,
    Message,
    Segment,
)
from crm_store.people import name_index
from crm_store.people.customers import fold_name
from crm_store.sample.names import CHINESE, ENGLISH, PERSIAN, SPANISH
from crm_store.signals import Direction
from crm_store.text_search import EntryKind, NewEntry

REGION = "CN"
MESSAGES_EACH = 8
"""Messages of a conversation."""
MESSAGES_OF_A_PERSON = 10
AGENTS = 40
QUEUES = ("service", "sales", "orders", "complaints")
ROWS_AT_ONCE = 2_000
YEARS = 3

COMMON = {
    "en": "the to and a i my is in it for you of not have on that with please be was this order as "
    "we but are me at so if can from will when they your what there would or one has been just "
    "delivery about get an like card still points how do did today phone thanks hello number shop "
    "could again time received after store because money back only want address where refund",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como mas pero "
    "sus le ya o este si porque esta entre cuando muy sin sobre tambien me hasta hay donde quien "
    "pedido desde todo nos durante gracias tarjeta puntos tienda entrega dinero numero hola",
    "fa": "و در به از که این است را با من برای آن یک خود تا کرد بر هم نیز گفت می شود شد ما اما هر "
    "سفارش کارت امتیاز فروشگاه سلام ممنون لطفا شماره تلفن آدرس تحویل پول امروز هنوز کجا چرا چه وقت",
}
HAN = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之"
    "年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样"
    "理心她本前开但因只从想实订单送货积分会员卡退款商店地址电话谢谢您请问什么候今明再次收到"
)
LANGUAGES = ("en", "zh", "es", "fa")
SHARES = (0.45, 0.3, 0.15, 0.1)


class Corpus:
    """Words and texts by chance, the same for the same seed."""

    def __init__(self, seed: int = 5) -> None:
        self.chance = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.words: dict[str, list[str]] = {}
        for language, letters in (
            ("en", "aeioubcdfghklmnprstvw"),
            ("es", "aeiouñbcdfglmnprst"),
            ("fa", "ابپتجچدرزسشغفقکگلمنوهی"),
        ):
            rare = {
                "".join(self.chance.choices(letters, k=self.chance.randint(4, 10)))
                for _ in range(30_000)
            }
            common = COMMON[language].split()
            self.words[language] = [*dict.fromkeys(common), *sorted(rare - set(common))]
        rest = [chr(0x4E00 + place) for place in range(3_000)]
        self.words["zh"] = list(dict.fromkeys(HAN + "".join(rest)))
        self._shares = {language: self._zipf(len(words)) for language, words in self.words.items()}

    @staticmethod
    def _zipf(count: int) -> Any:
        weights = 1.0 / (np.arange(count) + 2.7)
        return np.cumsum(weights / weights.sum())

    def indices(self, language: str, count: int) -> list[int]:
        """As many words of the language, the common ones more often."""
        drawn = np.searchsorted(self._shares[language], self.numbers.random(count))
        last = len(self.words[language]) - 1
        return [min(int(place), last) for place in drawn]

    def texts(self, language: str, count: int) -> list[str]:
        """Messages of 8 to 45 words (characters thrice as many), some with a number."""
        per = 3 if language == "zh" else 1
        lengths = [self.chance.randint(8 * per, 45 * per) for _ in range(count)]
        drawn = self.indices(language, sum(lengths))
        words = self.words[language]
        made, at = [], 0
        for length in lengths:
            some = [words[place] for place in drawn[at : at + length]]
            at += length
            body = "".join(some) if language == "zh" else " ".join(some)
            if self.chance.random() < 0.1:
                body += f" {draw(10)}"
            made.append(body)
        return made

    def language(self) -> str:
        return self.chance.choices(LANGUAGES, SHARES)[0]


def person_name(corpus: Corpus, language: str) -> str:
    names = {"en": ENGLISH, "zh": CHINESE, "es": SPANISH, "fa": PERSIAN}[language]
    return names.person(corpus.chance)


async def fill(url: str, messages: int) -> None:
    """Write the corpus, if this database has none. A fill that was broken off is begun anew by
    deleting the database."""
    await migrate(url)
    database = Database(url)
    try:
        async with database.reading() as session:
            if await session.scalar(text("SELECT 1 FROM messages LIMIT 1")):
                return
        corpus = Corpus()
        if not database.is_sqlite:
            # Made anew below: a row at a time it takes five times as long.
            async with database.transaction() as transaction:
                await transaction.session.execute(text("DROP INDEX ix_search_words_words"))
        people = await _write_people(database, corpus, people_among(messages))
        began = datetime.now(UTC) - timedelta(days=365 * YEARS)
        step = timedelta(days=365 * YEARS) / messages
        conversations = messages // MESSAGES_EACH
        for first in range(0, conversations, ROWS_AT_ONCE // MESSAGES_EACH):
            last = min(conversations, first + ROWS_AT_ONCE // MESSAGES_EACH)
            async with database.transaction() as transaction:
                await _write_some(
                    transaction,
                    corpus,
                    people,
                    positions=range(first, last),
                    began=began,
                    step=step,
                )
            if first % (ROWS_AT_ONCE * 10) == 0:
                print(f"  {first * MESSAGES_EACH:,} messages", file=sys.stderr, flush=True)
        if not database.is_sqlite:
            async with database.transaction() as transaction:
                await transaction.session.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
                await transaction.session.execute(
                    text(
                        "CREATE INDEX ix_search_words_words ON search_words"
                        " USING gin (words) WITH (fastupdate = off)"
                    )
                )
                for table in ("messages", "conversations", "search_entries", "search_words"):
                    await transaction.session.execute(text(f"ANALYZE {table}"))
    finally:
        await database.close()


def people_among(messages: int) -> int:
    return max(200, messages // MESSAGES_OF_A_PERSON)


async def _write_people(
    database: Database, corpus: Corpus, how_many: int
) -> list[tuple[int, str, str]]:
    """Who writes: row, name, language."""
    now = datetime.now(UTC)
    people: list[tuple[int, str, str]] = []
    for first in range(0, how_many, ROWS_AT_ONCE):
        rows: list[dict[str, Any]] = []
        for _ in range(min(ROWS_AT_ONCE, how_many - first)):
            language = corpus.language()
            name = person_name(corpus, language)
            rows.append(
                {
                    "name": name, "name_folded": fold_name(name), "language": language,
                    "segment": Segment.ORDINARY, "notes": "", "created_at": now, "updated_at": now,
                }
            )  # fmt: skip
        async with database.transaction() as transaction:
            ids = await transaction.session.scalars(
                insert(Customer).returning(Customer.id, sort_by_parameter_order=True), rows
            )
            named = [
                (row_id, row["name"], row["language"])
                for row_id, row in zip(ids.all(), rows, strict=True)
            ]
            await name_index.index_names(transaction, [(row_id, name) for row_id, name, _ in named])
            await transaction.session.execute(
                insert(ContactPoint),
                [
                    {
                        "customer_id": row_id, "kind": ContactKind.PHONE,
                        "value": phone_of(first + place), "label": "", "created_at": now,
                    }
                    for place, (row_id, _, _) in enumerate(named)
                ],
            )  # fmt: skip
        people += named
    return people


def phone_of(position: int) -> str:
    return f"+86{13_000_000_000 + position}"


async def _write_some(
    transaction: Any,
    corpus: Corpus,
    people: Sequence[tuple[int, str, str]],
    *,
    positions: range,
    began: datetime,
    step: timedelta,
) -> None:
    session = transaction.session
    chance = corpus.chance
    contacts, conversations, messages, entries = [], [], [], []
    for position in positions:
        customer_id, name, language = people[chance.randrange(len(people))]
        channel = chance.choices(
            (Channel.MAIL, Channel.SMS, Channel.CHAT, Channel.MESSENGER), (5, 2, 2, 1)
        )[0]
        agent = f"agent{chance.randrange(AGENTS):02d}"
        queue = chance.choice(QUEUES)
        at = began + step * (position * MESSAGES_EACH)
        row = position + 1
        address = f"p{customer_id}@mail.example"
        contacts.append(
            {
                "id": row, "customer_id": customer_id, "channel": channel,
                "direction": Direction.INBOUND, "queue": queue, "agent": agent, "summary": "",
                "note": "", "address": address, "keyed": [], "opened_at": at,
            }
        )  # fmt: skip
        conversations.append(
            {
                "id": row, "interaction_id": row, "customer_id": customer_id, "channel": channel,
                "address": address, "our_address": "", "subject": "", "language": language,
                "state": ConversationState.CLOSED, "queue": queue, "assigned_to": agent,
                "priority": 0, "tags": [], "preview": "", "opened_at": at, "last_message_at": at,
            }
        )  # fmt: skip
        for number, body in enumerate(corpus.texts(language, MESSAGES_EACH)):
            message_id = position * MESSAGES_EACH + number + 1
            moment = at + step * number
            ours = number % 2
            messages.append(
                {
                    "id": message_id, "conversation_id": row, "channel": channel,
                    "direction": Direction.OUTBOUND if ours else Direction.INBOUND,
                    "author": agent if ours else "", "sender": "" if ours else address,
                    "sender_name": "" if ours else name, "recipients": [], "subject": "",
                    "text": body, "quoted": "", "html": "", "language": language, "at": moment,
                    "raw_file": "", "problems": [], "automatic": "", "message_id": "",
                }
            )  # fmt: skip
            entries.append(
                NewEntry(
                    EntryKind.MESSAGE,
                    message_id,
                    customer_id,
                    moment,
                    [body, "" if ours else name, "" if ours else address, agent if ours else ""],
                    [
                        text_search.channel_mark(channel),
                        *([text_search.agent_mark(agent)] if ours else []),
                    ],
                )
            )
    await session.execute(insert(Interaction), contacts)
    await session.execute(insert(Conversation), conversations)
    await session.execute(insert(Message), messages)
    await text_search.index_new(transaction, entries)


# ---- the questions -------------------------------------------------------------------------------

Question = tuple[str, Wanted | None]


def questions(count: int, people: int) -> Iterator[tuple[str, list[Question]]]:
    """So many of each kind, by its name. Spaces at the end say that the last word is whole."""
    corpus = Corpus()
    chance = random.Random(99)
    words = corpus.words["en"]

    def of(first: int, last: int, how_many: int = 1, language: str = "en") -> str:
        some = corpus.words[language]
        return " ".join(some[chance.randrange(first, last)] for _ in range(how_many)) + " "

    def made(make: Any) -> list[Question]:
        return [(make(), None) for _ in range(count)]

    yield "a rare word", made(lambda: of(5_000, 30_000))
    yield "a common word", made(lambda: of(0, 60))
    yield "two words", made(lambda: of(100, 3_000, 2))
    yield "two common words", made(lambda: of(0, 60, 2))
    yield "a common and a rare word", made(lambda: of(0, 30) + of(5_000, 30_000))
    yield "three words, none of them together", made(lambda: of(2_000, 30_000, 3))
    yield "a phrase of common words", made(lambda: f'"{of(0, 40, 3).strip()}"')
    yield "a phrase of rarer words", made(lambda: f'"{of(200, 2_000, 2).strip()}"')
    yield "a word as it is typed (three letters)", made(lambda: chance.choice(words)[:3])
    yield "a name", made(lambda: person_name(corpus, "en"))
    yield "a name, Chinese", made(lambda: person_name(corpus, "zh"))
    yield "a name, Persian", made(lambda: person_name(corpus, "fa"))
    yield "an order's number", made(lambda: draw(10))
    yield "a telephone number", made(lambda: phone_of(chance.randrange(people)))
    yield (
        "Chinese, two characters",
        made(lambda: "".join(corpus.words["zh"][chance.randrange(0, 400)] for _ in range(2))),
    )
    yield (
        "Chinese, four characters",
        made(lambda: "".join(corpus.words["zh"][chance.randrange(0, 300)] for _ in range(4))),
    )
    yield "Chinese, a common word", made(lambda: chance.choice(["订单", "积分", "会员", "谢谢"]))
    yield "Persian, a common word", made(lambda: of(0, 40, 1, "fa"))
    yield "Persian, two words", made(lambda: of(40, 2_000, 2, "fa"))
    yield "Spanish, two words", made(lambda: of(30, 2_000, 2, "es"))
    yield (
        "a common word, one channel",
        [(of(0, 60), Wanted(channel=Channel.MESSENGER)) for _ in range(count)],
    )
    yield (
        "a rarer word of one agent",
        [(of(100, 3_000), Wanted(agent=f"agent{n % AGENTS:02d}")) for n in range(count)],
    )
    year_ago = datetime.now(UTC) - timedelta(days=365)
    yield (
        "two words, a year ago and before",
        [(of(50, 1_000, 2), Wanted(until=year_ago)) for _ in range(count)],
    )
    yield (
        "a common word, as an agent of one queue",
        [
            (of(0, 60), Wanted(seen_by=SeenBy(f"agent{n % AGENTS:02d}", ["complaints"])))
            for n in range(count)
        ],
    )


def measure(folder: Path, messages: int, count: int) -> dict[str, Any]:
    """Milliseconds for each kind of question on both databases: p50, p95, the longest; and how
    many hits. What was filled in the folder before is used again."""
    found = {}
    for name, opened in (("sqlite", stores.sqlite_url), ("postgresql", stores.postgresql_url)):
        own = folder / f"search-{name}"
        own.mkdir(parents=True, exist_ok=True)
        with opened(own, messages) as url:
            found[name] = asyncio.run(_measure(url, messages, count))
    return {"messages": messages, "count": count, "databases": found}


async def _measure(url: str, messages: int, count: int) -> dict[str, dict[str, float]]:
    await fill(url, messages)
    database = Database(url)
    kinds: dict[str, dict[str, float]] = {}
    try:
        for name, asked in questions(count, people_among(messages)):
            times, hits = [], 0
            for question, wanted in asked:
                start = time.perf_counter()
                found = await everything_search.search(
                    database, question, region=REGION, wanted=wanted
                )
                times.append(1_000 * (time.perf_counter() - start))
                hits += len(found.hits) + len(found.people)
            times.sort()
            kinds[name] = {
                "p50": times[len(times) // 2],
                "p95": times[min(len(times) - 1, int(0.95 * len(times)))],
                "most": times[-1],
                "hits": hits / len(times),
            }
    finally:
        await database.close()
    return kinds
