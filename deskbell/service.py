"""The service: the one place where all parts are put together, started and stopped in order.

Owns nothing but the wiring: settings become the store, the bus, a switchboard for each PBX, the
screen pop, the journal and the desk. Every part is told what it needs and knows no settings.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import phonenumbers
from aiohttp import web
from prometheus_client import CollectorRegistry

from agent_desk.app import create_app
from agent_desk.parts import AgentActionRefused, AgentControl, DeskParts, PhoneControl, PromptVoices
from crm_store.bus import Bus
from crm_store.contacts.callbacks import CallbackRecord
from crm_store.database import Database
from crm_store.job_worker import JobWorker
from crm_store.jobs import Subscribers
from crm_store.migrations import migrate
from crm_store.models import RecordingPolicy
from crm_store.people import customers
from crm_store.people.phone_numbers import to_e164
from crm_store.shop import house
from crm_store.signals import AgentState, AgentStateChanged, CallAnswered, CallOfferEnded
from crm_store.staff import agents as agent_store
from crm_store.staff import queues
from crm_store.staff.agents import AgentRecord
from crm_store.staff.queues import QueueRecord
from cti.agents.missed_rings import MissedRings
from cti.agents.seats import AgentSeat, UnknownAgent, WrapUpLimit
from cti.ami.link import AmiError, LinkState
from cti.callbacks.callbacks import Callbacks
from cti.journal import Journal
from cti.pbx.ari import AriAddress
from cti.pbx.configuration import BadConfiguration, PbxConfiguration
from cti.pbx.embedded import EmbeddedPbx, PbxFailed
from cti.pbx.embedded import PbxSettings as EmbeddedSettings
from cti.screen_pop import ScreenPops
from cti.switchboard import AmiAddress, Switchboard
from deskbell.call_verbs import LiveCallVerbs
from deskbell.channels import Channels
from deskbell.daily_round import DailyRound
from deskbell.failure import CommandFailed
from deskbell.menu_control import menu_control
from deskbell.menus import Menus
from deskbell.pbx_description import pbx_configuration
from deskbell.phones import Phones
from deskbell.settings import PbxSettings, Settings

log = logging.getLogger(__name__)

LINK_SECONDS = 10.0
"""How long a start waits for the link to the embedded PBX, which usually takes milliseconds."""

TRUNK = "PJSIP/trunk"
"""The endpoint of the telephone network in our own templates."""


class Service:
    """All of Deskbell in one process: `async with Service(settings)`, or start and stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        record_ami: BinaryIO | None = None,
        progress: Callable[[str], None] = log.info,
    ) -> None:
        self.settings = settings
        self.bus = Bus()
        self.switchboards: dict[str, Switchboard] = {}
        self.embedded: dict[str, EmbeddedPbx] = {}
        self.phones: Phones | None = None
        self.database: Database
        self.call_verbs: LiveCallVerbs
        self.menus: Menus
        self.channels: Channels
        self.desk_address = ""
        self.desk_port = 0
        self._registry = CollectorRegistry()
        self._record_ami = record_ami
        self._progress = progress
        self._stack = AsyncExitStack()
        self._agent_of: dict[str, str] = {}
        self._configured: dict[str, PbxConfiguration] = {}
        self._applying = asyncio.Lock()
        self._callbacks: list[Callbacks] = []
        self._has_survey = False

    async def __aenter__(self) -> Service:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bring everything up. Raises CommandFailed, PbxFailed or a database error."""
        url = self.settings.store.url.get_secret_value()
        self._progress("database: bringing the tables up to date")
        await migrate(url)
        subscribers = Subscribers()
        daily = DailyRound()
        daily.add_to(subscribers)
        self.database = Database(url, subscribers)
        self._stack.push_async_callback(self.database.close)
        agents = await agent_store.all_agents(self.database)
        all_queues = await queues.all_queues(self.database)
        # Before any PBX: whoever calls first is answered.
        self.menus = Menus(self.settings, self.database, self.bus, self._progress)
        await self.menus.start()
        self._stack.push_async_callback(self.menus.close)
        self.menus.register(self._registry)
        self.menus.announce(all_queues)
        self._has_survey = bool((await house.read(self.database)).survey)
        self.channels = Channels(
            self.settings, self.database, self.bus, self._to_number, self._state_of
        )
        await self.channels.prepare(subscribers)
        self.channels.register(self._registry)
        self._stack.push_async_callback(self.channels.close)
        await self._start_pbxs(agents, all_queues)
        self.phones = self._phones()
        self.seat_agents(agents)
        if self.phones is not None:
            self._stack.push_async_callback(self.phones.close)
            await self.phones.restore()
        journal = Journal(self.database, self.bus, self._to_number, self._live_on)
        pops = ScreenPops(
            self.bus,
            self._to_number,
            self._look_up,
            self._agent_with_phone,
            look_up_customer=self._look_up_customer,
            callback_of=self._callback_of,
        )
        self.bus.listen(pops.on_signal)
        self._stack.push_async_callback(pops.close)
        self._missed_rings = MissedRings(
            self.database, _missed_ring_limits(all_queues), self._on_every_pbx("pause")
        )
        self.bus.listen(self._missed_rings.on_signal, CallAnswered, CallOfferEnded)
        self._stack.push_async_callback(self._missed_rings.close)
        self.call_verbs = LiveCallVerbs(
            self.switchboards,
            self._recording_folders(),
            self.bus,
            self.database,
            _recording_policies(all_queues),
        )
        self._stack.push_async_callback(self.call_verbs.close)
        await self._warm_up()
        await self._start_desk()
        await journal.start()
        self._stack.push_async_callback(journal.close)
        self._callbacks = self._see_to_callbacks()
        for switchboard in self.switchboards.values():
            await switchboard.start()
            self._stack.push_async_callback(switchboard.close)
        for callbacks in self._callbacks:
            await callbacks.start()
            self._stack.push_async_callback(callbacks.close)
        shown = self.settings.menus.called_as
        await self.channels.start(self.desk_address, self.switchboards, shown[0] if shown else "")
        await daily.begin(self.database, self.channels.remove_idle)
        self._start_jobs()
        await self._wait_for_our_own_pbxs()

    async def _start_pbxs(
        self, agents: Sequence[AgentRecord], all_queues: Sequence[QueueRecord]
    ) -> None:
        for pbx in self.settings.pbx:
            self._configured[pbx.name] = self._pbx_configuration(pbx, agents, all_queues)
            address = await self._pbx_address(pbx, agents, all_queues)
            self.switchboards[pbx.name] = Switchboard(
                pbx.name,
                address,
                self.bus,
                trunks=(TRUNK,),
                wrap_up=_wrap_up_limits(all_queues),
                default_wrap_up=WrapUpLimit(round(self.settings.wrap_up.seconds)),
                record=self._record_ami,
            )

    def _see_to_callbacks(self) -> list[Callbacks]:
        """One for each PBX. What was asked for on no PBX, by a page, is the first one's."""
        return [
            Callbacks(
                board,
                self.bus,
                self.database,
                to_number=self._to_number,
                calls_from=functools.partial(self._shown_number, name),
                takes_others=number == 0,
            )
            for number, (name, board) in enumerate(self.switchboards.items())
        ]

    def _callback_of(self, callback: int) -> CallbackRecord | None:
        found = (callbacks.record(callback) for callbacks in self._callbacks)
        return next((record for record in found if record is not None), None)

    def _shown_number(self, pbx: str, queue: str) -> str:
        """Whose number customers see when we call them back: the house's, else the queue's."""
        called_as = self.settings.menus.called_as
        return called_as[0] if called_as else self._queue_number(pbx, queue)

    def _start_jobs(self) -> None:
        worker = asyncio.create_task(JobWorker(self.database).run(), name="jobs")

        async def stop() -> None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

        self._stack.push_async_callback(stop)

    def _recording_folders(self) -> dict[str, Path | None]:
        """Asterisk writes them under its spool; another machine's may be mounted here."""
        return {pbx.name: pbx.sound_folder for pbx in self.settings.pbx}

    async def _wait_for_our_own_pbxs(self) -> None:
        """Be ready for calls when `start` returns; an external PBX may come up when it likes."""
        try:
            async with asyncio.timeout(LINK_SECONDS):
                for name in self.embedded:
                    await self.switchboards[name].link.wait_up()
        except TimeoutError:
            log.warning("the link to our own PBX is not up yet; it is tried on")

    async def stop(self) -> None:
        """Stop everything in the opposite order; what is on its way to the store is written."""
        await self._stack.aclose()

    def seat_agents(self, agents: Sequence[AgentRecord]) -> None:
        """Tell every switchboard who sits at which phone."""
        self._agent_of = {f"PJSIP/{a.extension}": a.login for a in agents if a.extension}
        if self.phones is not None:
            self.phones.know(agents)
        for switchboard in self.switchboards.values():
            switchboard.seat(_seats(agents))

    async def apply_settings(self) -> str:
        """Have every PBX take agents, queues and penalties as they are now; see DeskParts."""
        async with self._applying:
            agents = await agent_store.all_agents(self.database)
            all_queues = await queues.all_queues(self.database)
            self.menus.announce(all_queues)
            self._has_survey = bool((await house.read(self.database)).survey)
            await self.channels.refresh()
            said = {await self._configure(pbx, agents, all_queues) for pbx in self.settings.pbx}
            self._agent_of = {f"PJSIP/{a.extension}": a.login for a in agents if a.extension}
            if self.phones is not None:
                self.phones.know(agents)
                await self.phones.restore()
            self._missed_rings.limit(_missed_ring_limits(all_queues))
            self.call_verbs.follow(_recording_policies(all_queues))
            for switchboard in self.switchboards.values():
                switchboard.agents.limit_wrap_up(_wrap_up_limits(all_queues))
                try:
                    await switchboard.take_seats(_seats(agents))
                except AmiError as error:
                    log.warning("PBX %s takes its agents later: %s", switchboard.name, error)
                    said.add("later")
        return next((word for word in ("refused", "later", "reload") if word in said), "")

    async def _configure(
        self, pbx: PbxSettings, agents: Sequence[AgentRecord], all_queues: Sequence[QueueRecord]
    ) -> str:
        """Give our own Asterisk its files anew if they say something else now."""
        try:
            wanted = self._pbx_configuration(pbx, agents, all_queues)
        except BadConfiguration as error:
            log.warning("PBX %s keeps what it has: %s", pbx.name, error)
            return "refused"
        embedded = self.embedded.get(pbx.name)
        told = self._configured.get(pbx.name)
        if told is not None and (told.queues, told.phones) == (wanted.queues, wanted.phones):
            return ""
        if embedded is not None:
            try:
                await embedded.reload(wanted.queues, wanted.phones)
            except PbxFailed as error:
                log.warning("PBX %s did not take its new files: %s", pbx.name, error)
                return "later"
        self._configured[pbx.name] = wanted
        return "" if embedded is not None else "reload"

    def _pbx_configuration(
        self, pbx: PbxSettings, agents: Sequence[AgentRecord], all_queues: Sequence[QueueRecord]
    ) -> PbxConfiguration:
        menus = self.menus.for_pbx(pbx, all_queues)
        told = pbx_configuration(pbx, agents, all_queues, menus, self.settings.menus.called_as)
        for_who_waits = [
            replace(
                queue,
                survey=self._has_survey,
                announcement=self.menus.announcement(queue.exit_key) if queue.exit_menu else "",
            )
            for queue in told.queues
        ]
        return replace(told, queues=for_who_waits)

    def _phones(self) -> Phones | None:
        """Browsers' phones on the first PBX that has an ARI."""
        for pbx in self.settings.pbx:
            embedded = self.embedded.get(pbx.name)
            if embedded is not None:
                address = AriAddress(
                    url=embedded.http_url, user=embedded.ari_user, secret=embedded.ari_secret
                )
            elif pbx.ari_url:
                secret = pbx.ari_secret.get_secret_value()
                address = AriAddress(url=pbx.ari_url, user=pbx.ari_user, secret=secret)
            else:
                continue
            return Phones(
                self.switchboards[pbx.name],
                address,
                self.bus,
                embedded=embedded,
                media_address=pbx.media_address if embedded is None else embedded.media_address,
                echo_number=self._configured[pbx.name].echo_number,
                queue_number=functools.partial(self._queue_number, pbx.name),
                chosen=self._agents_changed,
            )
        return None

    def _queue_number(self, pbx: str, name: str) -> str:
        told = self._configured[pbx].queues
        return next((queue.number for queue in told if queue.name == name), "")

    async def _agents_changed(self) -> None:
        await self.apply_settings()

    def links_are_up(self) -> bool:
        """Whether every PBX can be spoken to."""
        return all(board.link.state is LinkState.UP for board in self.switchboards.values())

    async def _pbx_address(
        self, pbx: PbxSettings, agents: Sequence[AgentRecord], all_queues: Sequence[QueueRecord]
    ) -> AmiAddress:
        if pbx.mode == "external":
            return AmiAddress(
                host=pbx.ami_host,
                port=pbx.ami_port,
                user=pbx.ami_user,
                secret=pbx.ami_secret.get_secret_value(),
            )
        self._progress(f"PBX {pbx.name}: starting Asterisk")
        embedded = EmbeddedPbx(
            EmbeddedSettings(
                folder=pbx.folder,
                configuration=self._configured[pbx.name],
                cache=pbx.cache,
                bind_address=pbx.bind_address,
                sip_port=pbx.sip_port,
                ami_port=pbx.ami_port,
                http_port=pbx.http_port,
                rtp_first=pbx.rtp_first,
                rtp_ports=pbx.rtp_ports,
            ),
            progress=self._progress,
        )
        await self._stack.enter_async_context(embedded)
        self.embedded[pbx.name] = embedded
        return AmiAddress(
            host=embedded.ami_host,
            port=embedded.ami_port,
            user=embedded.ami_user,
            secret=embedded.ami_secret,
        )

    async def _start_desk(self) -> None:
        desk = self.settings.desk
        parts = DeskParts(
            database=self.database,
            bus=self.bus,
            agents=self._agent_control(),
            apply_settings=self.apply_settings,
            calls=self._live_calls,
            phones=self.phones.control() if self.phones else PhoneControl(),
            call_verbs=self.call_verbs.as_parts(),
            menus=menu_control(self.menus, self.switchboards, self.database),
            written=self.channels.written(),
            hall=self.channels.hall(),
            chat=self.channels.chat(),
            webhooks=self.channels.webhooks(),
            prompt_voices=PromptVoices(sounds=self.menus.sounds, uploads=self.menus.uploads),
            region=self.settings.numbers.region,
            session_hours=desk.session_hours,
            public_url=desk.public_url,
            behind_proxy=desk.behind_proxy,
            secure_cookies=bool(desk.tls_certificate) or desk.public_url.startswith("https"),
            registry=self._registry,
            link_is_up=self.links_are_up,
        )
        runner = web.AppRunner(create_app(parts), access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, desk.host, desk.port, ssl_context=self._tls())
        try:
            await site.start()
        except OSError as error:
            raise CommandFailed(
                f"the desk cannot listen on {desk.host}:{desk.port}: {error.strerror}; "
                "set another DESKBELL_DESK_PORT, or stop what uses it"
            ) from None
        host, port = runner.addresses[0][:2]
        self.desk_port = int(port)
        scheme = "https" if desk.tls_certificate else "http"
        self.desk_address = desk.public_url or f"{scheme}://{host}:{port}"

    def _tls(self) -> ssl.SSLContext | None:
        desk = self.settings.desk
        if desk.tls_certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(desk.tls_certificate, desk.tls_key)
        return context

    def _agent_control(self) -> AgentControl:
        return AgentControl(
            sign_in=self._on_every_pbx("sign_in"),
            sign_out=self._on_every_pbx("sign_out"),
            pause=self._on_every_pbx("pause"),
            unpause=self._on_every_pbx("unpause"),
            finish_wrap_up=self._on_every_pbx("finish_wrap_up"),
            extend_wrap_up=self._on_every_pbx("extend_wrap_up"),
            state_of=self._state_of,
        )

    def _on_every_pbx(self, command: str) -> Callable[..., Awaitable[None]]:
        async def tell(login: str, *arguments: Any) -> None:
            for switchboard in self.switchboards.values():
                try:
                    await getattr(switchboard.agents, command)(login, *arguments)
                except UnknownAgent:
                    raise AgentActionRefused(
                        "You have no phone: ask your supervisor for an extension."
                    ) from None
                except AmiError as error:
                    raise AgentActionRefused(
                        f"The telephone system did not do it ({error}). Try again in a moment."
                    ) from None

        return tell

    def _state_of(self, login: str) -> AgentStateChanged:
        """The busiest of an agent's states over all PBXs."""
        states = [board.agents.state_of(login) for board in self.switchboards.values()]
        present = [state for state in states if state.state is not AgentState.OFFLINE]
        return (present or states)[0]

    def _live_calls(self) -> list[dict[str, Any]]:
        return [call for board in self.switchboards.values() for call in board.live_calls()]

    def _live_on(self, pbx: str) -> list[str]:
        return list(self.switchboards[pbx].calls.calls)

    def _agent_with_phone(self, endpoint: str) -> str:
        return self._agent_of.get(endpoint, "")

    def _to_number(self, text: str) -> str | None:
        return to_e164(text, self.settings.numbers.region)

    async def _warm_up(self) -> None:
        """Look somebody up: the first caller must not wait for a connection, a thread, a table."""
        example = phonenumbers.example_number(self.settings.numbers.region)
        if example is not None:
            form = phonenumbers.PhoneNumberFormat.E164
            number = self._to_number(phonenumbers.format_number(example, form))
            await self._look_up(number or "")

    async def _look_up(self, number: str) -> tuple[dict[str, Any], ...]:
        found = await customers.find_by_phone(self.database, number)
        return tuple(card.as_dict() for card in found)

    async def _look_up_customer(self, customer_id: int) -> tuple[dict[str, Any], ...]:
        card = await customers.card(self.database, customer_id)
        return (card.as_dict(),) if card is not None else ()


def _seats(agents: Sequence[AgentRecord]) -> list[AgentSeat]:
    return [AgentSeat(a.login, f"PJSIP/{a.extension}", a.queues) for a in agents if a.extension]


def _recording_policies(all_queues: Sequence[QueueRecord]) -> dict[str, RecordingPolicy]:
    return {queue.name: queue.recording for queue in all_queues}


def _missed_ring_limits(all_queues: Sequence[QueueRecord]) -> dict[str, int]:
    return {queue.name: queue.missed_rings for queue in all_queues}


def _wrap_up_limits(all_queues: Sequence[QueueRecord]) -> dict[str, WrapUpLimit]:
    return {
        queue.name: WrapUpLimit(queue.wrap_up_seconds, queue.wrap_up_extra_seconds)
        for queue in all_queues
    }
