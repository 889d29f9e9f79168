from __future__ import annotations

from dataclasses import replace

import pytest

from crm_store import audit
from crm_store.database import Database
from crm_store.phone_menus import prompt_recordings
from crm_store.phone_menus.prompt_recordings import Recording

pytestmark = pytest.mark.db

WELCOME = Recording(
    code="welcome", language="zh", part=0, text="欢迎致电", file="zh/1.wav",
    seconds=2.5, level_db=-20.5, peak_db=-3.0, uploaded_name="欢迎.mp3",
)  # fmt: skip


async def test_own_words_come_and_go(database: Database) -> None:
    async def say(language: str, text: str | None) -> dict[tuple[str, str], str]:
        async with database.transaction() as transaction:
            await prompt_recordings.set_text(transaction, "welcome", language, text, actor="sara")
        return await prompt_recordings.own_texts(database)

    assert await say("zh", None) == {}
    assert await say("zh", " 您好 ") == {("welcome", "zh"): "您好"}
    assert await say("zh", "您好！") == {("welcome", "zh"): "您好！"}
    assert len(await say("fa", "سلام")) == 2
    assert await say("zh", "  ") == {("welcome", "fa"): "سلام"}
    said = await audit.entries(database, subject_kind="prompt", subject_id="welcome")
    assert [entry.action for entry in said] == ["deleted", "changed", "changed", "changed"]


async def test_a_recording_takes_the_place_of_another_whose_file_is_told(
    database: Database,
) -> None:
    async def keep(recording: Recording) -> str | None:
        async with database.transaction() as transaction:
            return await prompt_recordings.keep(transaction, recording, actor="sara")

    assert await keep(WELCOME) is None
    assert await keep(WELCOME) is None
    assert await keep(replace(WELCOME, part=1, file="zh/2.wav")) is None
    assert await keep(replace(WELCOME, text="您好", file="zh/3.wav")) == "zh/1.wav"
    found = await prompt_recordings.recordings(database)
    assert {key: one.file for key, one in found.items()} == {
        ("welcome", "zh", 0): "zh/3.wav",
        ("welcome", "zh", 1): "zh/2.wav",
    }
    kept = found["welcome", "zh", 0]
    assert (kept.text, kept.seconds, kept.level_db, kept.peak_db) == ("您好", 2.5, -20.5, -3.0)
    assert (kept.uploaded_name, kept.changed_by) == ("欢迎.mp3", "sara")
    with pytest.raises(ValueError, match="says something"):
        await keep(replace(WELCOME, text=" "))
    async with database.transaction() as transaction:
        for expected in ("zh/3.wav", None):
            gone = await prompt_recordings.remove(transaction, "welcome", "zh", 0, actor="sara")
            assert gone == expected
    assert list(await prompt_recordings.recordings(database)) == [("welcome", "zh", 1)]
