"""The supervisors' pages of what callers hear, under /setup/prompts.

Owns the list of sentences, hearing them, putting a recording in the place of the synthesised voice
and taking it back, and who did so. How an upload becomes a sound is ivr.speech's; what is kept of
it the store's.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, signed_in
from agent_desk.languages import Language
from agent_desk.parts import PromptVoices
from agent_desk.setup.pages import form_of, setup_page
from agent_desk.setup.prompt_list import Sentence, Stretch, place_title, read_sentences
from crm_store import audit
from crm_store.phone_menus import prompt_recordings
from crm_store.phone_menus.prompt_recordings import Recording
from ivr.speech.engines import SynthesisFailed
from ivr.speech.recordings import LARGEST_BYTES, Converted, Converter, Doubt, Fault, Unusable

HERE = "/setup/prompts"
LONGEST_NAME = 200
NEWEST = 20

CONVERTER = web.AppKey("converter", Converter)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A stretch of a sentence in a language, as a request names it."""

    sentence: Sentence
    language: str
    stretch: Stretch


async def show_prompts(request: web.Request) -> web.StreamResponse:
    """GET /setup/prompts: every sentence by place, and which are recorded."""
    _ = language_of(request)
    recorded = await prompt_recordings.recordings(request.app[PARTS].database)
    places: dict[str, list[dict[str, object]]] = {}
    for sentence in await read_sentences(request.app[PARTS].database):
        shown = _.code if _.code in sentence.texts else next(iter(sentence.texts))
        states = _states(sentence, recorded)
        places.setdefault(sentence.place, []).append(
            {
                "code": sentence.code,
                "text": sentence.texts[shown],
                "language": shown,
                "recorded": [code for code, state in states.items() if state == "recorded"],
                "stale": [code for code, state in states.items() if state == "stale"],
            }
        )
    voices = request.app[PARTS].prompt_voices
    return setup_page(
        request,
        "setup/prompts.html",
        HERE,
        places=[(place_title(place, _), lines) for place, lines in places.items()],
        progress=voices.sounds.progress if voices is not None else None,
    )


async def show_prompt(request: web.Request) -> web.StreamResponse:
    """GET /setup/prompts/one?code=: a sentence in each language, to hear and to record."""
    _ = language_of(request)
    database = request.app[PARTS].database
    sentence = await _sentence(request, request.query.get("code", ""))
    recorded = await prompt_recordings.recordings(database)
    told = await audit.entries(
        database, subject_kind="prompt", subject_id=sentence.code[:100], limit=NEWEST
    )
    return setup_page(
        request,
        "setup/prompts_one.html",
        HERE,
        sentence=sentence,
        place=place_title(sentence.place, _),
        stretches={
            language: [
                (stretch, recorded.get((sentence.code, language, stretch.number)))
                for stretch in sentence.stretches(language)
            ]
            for language in sentence.texts
        },
        can_speak=request.app[PARTS].prompt_voices is not None,
        largest_megabytes=LARGEST_BYTES >> 20,
        history=[entry for entry in told if "recording" in entry.fields],
    )


async def play_stretch(request: web.Request) -> web.StreamResponse:
    """GET /setup/prompts/sound?code=&language=&part=&voice=: as WAV; `voice` is "recording" or
    "engine". 404 if there is none."""
    voices = _voices(request)
    asked = await _asked(request, request.query)
    if request.query.get("voice") == "recording":
        known = await prompt_recordings.recordings(request.app[PARTS].database)
        found = known.get((asked.sentence.code, asked.language, asked.stretch.number))
        file = _file(voices, found.file) if found is not None else None
    else:
        try:
            sound = await voices.sounds.synthesised(asked.stretch.text, asked.language)
            file = sound.file
        except SynthesisFailed:
            file = None
    if file is None or not await asyncio.to_thread(file.is_file):
        _ = language_of(request)
        raise web.HTTPNotFound(text=_("This cannot be heard: there is no sound of it."))
    return web.FileResponse(file, headers={"Content-Type": "audio/wav"})


async def keep_recording(request: web.Request) -> web.StreamResponse:
    """POST /api/setup/prompts?code=&language=&part=&text=&name=, the file as the request's body:
    callers hear it from now on. {"said": what became of it, "doubts": [...]}, or 400 {"error",
    "fault"} for a file that cannot be used. `text` is what the page showed: 409 if it is
    something else by now."""
    _ = language_of(request)
    voices = _voices(request)
    asked = await _asked(request, request.query)
    if request.query.get("text", asked.stretch.text) != asked.stretch.text:
        raise web.HTTPConflict(text=_("The text was changed meanwhile. Load the page again."))
    converter = request.app[CONVERTER]
    name = f"{secrets.token_hex(12)}.wav"
    try:
        with tempfile.TemporaryDirectory(prefix="deskbell-upload-") as folder:
            source = Path(folder, "upload")
            await _receive(request, source)
            converted = await converter.convert(source, voices.uploads / name)
    except Unusable as refused:
        answer = {"error": _fault(refused.fault, _), "fault": refused.fault.value}
        return json_answer(answer, 413 if refused.fault is Fault.TOO_LARGE else 400)
    recording = Recording(
        code=asked.sentence.code,
        language=asked.language,
        part=asked.stretch.number,
        text=asked.stretch.text,
        file=name,
        seconds=converted.seconds,
        level_db=converted.speech_db,
        peak_db=converted.peak_db,
        uploaded_name=request.query.get("name", "").replace("\0", "")[:LONGEST_NAME],
    )
    try:
        async with request.app[PARTS].database.transaction() as transaction:
            old = await prompt_recordings.keep(
                transaction, recording, actor=signed_in(request).agent.login
            )
    except BaseException:
        _delete(voices, name)
        raise
    await request.app[PARTS].menus.published()
    _delete(voices, old)
    return json_answer(
        {"said": _became(converted, _), "doubts": [_doubt(one, _) for one in converted.doubts]}
    )


async def take_back(request: web.Request) -> web.StreamResponse:
    """POST /setup/prompts/synthesis, a form with code, language and part: synthesised again. Also
    for a part that the sentence has no more."""
    voices = _voices(request)
    form = await form_of(request)
    code, language, part = form.text("code"), form.text("language"), form.text("part")
    if not (part.isascii() and part.isdigit() and len(part) < 4):
        raise web.HTTPBadRequest
    async with request.app[PARTS].database.transaction() as transaction:
        old = await prompt_recordings.remove(
            transaction, code, language, int(part), actor=signed_in(request).agent.login
        )
    if old is None:
        raise web.HTTPNotFound
    await request.app[PARTS].menus.published()
    _delete(voices, old)
    raise web.HTTPSeeOther(f"{HERE}/one?{urlencode({'code': code, 'done': 'saved'})}")


ROUTES = (
    Route("GET", HERE, show_prompts, Access.SUPERVISORS),
    Route("GET", f"{HERE}/one", show_prompt, Access.SUPERVISORS),
    Route("GET", f"{HERE}/sound", play_stretch, Access.SUPERVISORS),
    Route("POST", f"{HERE}/synthesis", take_back, Access.SUPERVISORS),
    Route("POST", "/api/setup/prompts", keep_recording, Access.SUPERVISORS),
)


def _states(
    sentence: Sentence, recorded: Mapping[tuple[str, str, int], Recording]
) -> dict[str, str]:
    """By language: recorded, stale (it says something else by now), partly; others are left out."""
    states = {}
    for language in sentence.texts:
        found = [
            (stretch.text, recorded.get((sentence.code, language, stretch.number)))
            for stretch in sentence.stretches(language)
        ]
        if any(one is not None and one.text != text for text, one in found):
            states[language] = "stale"
        elif any(one is not None for _, one in found):
            states[language] = "recorded"
    return states


def _voices(request: web.Request) -> PromptVoices:
    voices = request.app[PARTS].prompt_voices
    if voices is None:
        _ = language_of(request)
        raise web.HTTPServiceUnavailable(text=_("No phone menus run here, so nothing is spoken."))
    return voices


async def _sentence(request: web.Request, code: str) -> Sentence:
    every = await read_sentences(request.app[PARTS].database)
    found = next((sentence for sentence in every if sentence.code == code), None)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _asked(request: web.Request, query: Mapping[str, str]) -> _Asked:
    sentence = await _sentence(request, query.get("code", ""))
    language = query.get("language", "")
    if language not in sentence.texts:
        raise web.HTTPNotFound
    for stretch in sentence.stretches(language):
        if str(stretch.number) == query.get("part", ""):
            return _Asked(sentence, language, stretch)
    raise web.HTTPNotFound


async def _receive(request: web.Request, target: Path) -> None:
    """The request's body as a file, of which no more than is allowed is taken. Raises Unusable."""
    if (request.content_length or 0) > LARGEST_BYTES:
        raise Unusable(Fault.TOO_LARGE)
    size = 0
    with target.open("wb") as file:
        async for piece in request.content.iter_chunked(1 << 16):
            size += len(piece)
            if size > LARGEST_BYTES:
                raise Unusable(Fault.TOO_LARGE)
            file.write(piece)


def _file(voices: PromptVoices, name: str) -> Path | None:
    # A row of the store names a file here, whatever stands in it.
    return voices.uploads / name if Path(name).name == name else None


def _delete(voices: PromptVoices, name: str | None) -> None:
    if name and (file := _file(voices, name)) is not None:
        file.unlink(missing_ok=True)


def _fault(fault: Fault, _: Language) -> str:
    return {
        Fault.TOO_LARGE: _("The file is too large: at most %d MB.") % (LARGEST_BYTES >> 20),
        Fault.UNKNOWN_FORMAT: _(
            "This is no sound file that can be read: send WAV, MP3, OGG or FLAC."
        ),
        Fault.DAMAGED: _("The file is damaged or cut off. Save it once more."),
        Fault.TOO_LONG: _("The recording is too long: nobody listens more than two minutes."),
        Fault.TOO_SHORT: _("There is hardly anything in it: the recording is too short."),
        Fault.SILENT: _("The recording is silent. Was the microphone on?"),
        Fault.TOO_MUCH_WORK: _("The file could not be read in time. Save it as WAV."),
    }[fault]  # fmt: skip


def _doubt(doubt: Doubt, _: Language) -> str:
    return {
        Doubt.CLIPPED: _("It is distorted: it was recorded too loud. Better record it once more."),
        Doubt.TOO_QUIET: _("It was recorded very quietly: callers may hear its noise."),
        Doubt.BELOW_LEVEL: _("A loud knock or click keeps it quieter than the other prompts."),
    }[doubt]


def _became(converted: Converted, _: Language) -> str:
    said = _("Callers hear it from now on: %(seconds).1f s, level %(level).0f dB.")
    return said % {"seconds": converted.seconds, "level": converted.speech_db}
