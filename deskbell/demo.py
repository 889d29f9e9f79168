"""The demo: the whole of Deskbell on this machine, with a mall's sample data, in the foreground.

Owns var/demo: its configuration file, database, PBX folder, passwords and log. Touches nothing
outside it, and leaves nothing running.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shlex
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent_desk.entrance.passwords import hash_password
from crm_store.database import Database
from crm_store.migrations import migrate
from crm_store.sample import mall as sample_mall
from crm_store.sample.rules import fill_rules
from crm_store.staff import agents
from deskbell import demo_outside, demo_recording, log, running_demo
from deskbell.config import load_settings
from deskbell.event_loop import run
from deskbell.failure import CommandFailed
from deskbell.outside.world import OutsideCustomer, OutsideWorld
from deskbell.running_demo import Demo, Person
from deskbell.serve import run_service
from deskbell.service import Service
from deskbell.settings import Settings

CONFIGURATION = """\
# The demo's own settings, made at its first start; DESKBELL_… variables override them.
[store]
url = "sqlite:///deskbell.db"

[pbx]
folder = "pbx"

[inbox]
folder = "attachments"
"""
PORTS_TRIED = 50
# No letter or digit that is easily taken for another.
PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105 - an alphabet
PASSWORD_LENGTH = 10
CALLER = "+8613800138000"
MAILBOX = "customer1@mail.example"
"""The caller's."""
README_AGENTS = ("emma", "james")
"""Both speak English; emma serves the queue that is recorded and the one that answers itself."""


def demo(folder: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Run the demo kept in `folder` until Ctrl-C or SIGTERM. Raises CommandFailed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = running_demo.hold(folder)
    if lock is None:
        other = running_demo.read(folder)
        where = f" at {other.url} (process {other.pid})" if other else ""
        raise CommandFailed(
            f"a demo of this folder is running already{where}; stop it with Ctrl-C in its "
            "terminal, or give this one another folder: deskbell demo --folder DIR"
        )
    with lock:
        console = Console(highlight=False, soft_wrap=True)
        settings = _settings(folder, environment, console)
        log.set_up_file(folder / "deskbell.log")
        with contextlib.suppress(KeyboardInterrupt):
            run(_run(settings, folder, console))
        console.print("\nStopped; nothing is left running. The data stays in", str(folder))


async def _run(settings: Settings, folder: Path, console: Console) -> None:
    started = time.monotonic()

    def progress(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.1f} s[/]  {text}")

    people = await _prepare_store(settings, folder, progress)

    world = OutsideWorld()

    async def when_up(service: Service) -> None:
        demo_outside.connect(world, service)
        name, pbx = next(iter(service.embedded.items()))
        sounds = settings.pbx[0].sound_folder
        if sounds is not None:
            await demo_recording.add(service.database, pbx, name, sounds)
        running = _describe(service, folder, people, world)
        running_demo.write(running, folder)
        _greet(console, running, folder)

    async with world:
        world.customers += await _customers_outside(settings)
        service = Service(demo_outside.with_outside(settings, world), progress=progress)
        await run_service(service, when_up)


async def _customers_outside(settings: Settings) -> list[OutsideCustomer]:
    database = Database(settings.store.url.get_secret_value())
    try:
        return await demo_outside.customers_outside(database)
    finally:
        await database.close()


def _settings(folder: Path, environment: Mapping[str, str], console: Console) -> Settings:
    file = folder / "deskbell.toml"
    if not file.exists():
        file.write_text(CONFIGURATION, encoding="utf-8")
    settings = load_settings(file, environment)
    if len(settings.pbx) != 1 or settings.pbx[0].mode != "embedded":
        raise CommandFailed(f"the demo runs one embedded PBX; {file} asks for something else")
    port = _free_port(settings.desk.host, settings.desk.port, "DESKBELL_DESK_PORT" in environment)
    settings = _with_earlier_sip_port(settings, folder)
    if port != settings.desk.port:
        console.print(f"Port {settings.desk.port} is in use by another program; taking {port}.")
        desk = settings.desk.model_copy(update={"port": port})
        settings = settings.model_copy(update={"desk": desk})
    return settings


def _with_earlier_sip_port(settings: Settings, folder: Path) -> Settings:
    """The SIP port of the last time where it is free, so that real phones find us again."""
    pbx, earlier = settings.pbx[0], running_demo.read(folder)
    if pbx.sip_port or earlier is None:
        return settings
    family = socket.AF_INET6 if ":" in pbx.bind_address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((pbx.bind_address, earlier.sip_port))
        except OSError:
            return settings
    return settings.model_copy(
        update={"pbx": (pbx.model_copy(update={"sip_port": earlier.sip_port}),)}
    )


def _free_port(host: str, wanted: int, is_a_wish: bool) -> int:
    """The port wanted, or a free one above it unless somebody wished for just that one."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)) if wanted else (0,):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CommandFailed(
                        f"the desk can't listen on {host} port {port}: {error.strerror}; set "
                        "DESKBELL_DESK_HOST and DESKBELL_DESK_PORT to what it may use"
                    ) from None
                if is_a_wish:
                    raise CommandFailed(
                        f"port {port} is in use by another program; stop that one, or set "
                        "DESKBELL_DESK_PORT to a free port (0 takes any)"
                    ) from None
            else:
                return port
    raise CommandFailed(f"ports {wanted} and above are all in use; set DESKBELL_DESK_PORT=0")


async def _prepare_store(
    settings: Settings, folder: Path, progress: log.Progress
) -> tuple[Person, ...]:
    """The sample data, once; and everybody's password, made once and kept in demo.json."""
    url = settings.store.url.get_secret_value()
    await migrate(url)
    database = Database(url)
    try:
        progress("sample mall: customers, cards, agents, queues")
        if await sample_mall.fill(database):
            async with database.transaction() as transaction:
                await fill_rules(transaction)
        earlier = running_demo.read(folder)
        passwords = {person.login: person.password for person in earlier.people} if earlier else {}
        people = []
        for agent in await agents.all_agents(database):
            password = passwords.get(agent.login, "")
            if not password or not await agents.password_hash(database, agent.login):
                password = password or _new_password()
                async with database.transaction() as transaction:
                    await agents.set_password_hash(
                        transaction, agent.login, hash_password(password)
                    )
            people.append(
                Person(
                    login=agent.login,
                    name=agent.display_name,
                    role=agent.role.value,
                    password=password,
                    extension=agent.extension or "",
                    queues=tuple(agent.queues),
                )
            )
        return tuple(people)
    finally:
        await database.close()


def _new_password() -> str:
    return "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(PASSWORD_LENGTH))


def _describe(
    service: Service, folder: Path, people: tuple[Person, ...], world: OutsideWorld
) -> Demo:
    pbx = next(iter(service.embedded.values()))
    with_phones = [
        replace(person, phone_secret=pbx.phone_account(person.extension)[1])
        if person.extension
        else person
        for person in people
    ]
    return Demo(
        pid=os.getpid(),
        url=service.desk_address,
        config=str(folder / "deskbell.toml"),
        sip_address=pbx.sip_address,
        sip_port=pbx.sip_port,
        trunk_address=pbx.trunk_address,
        trunk_port=pbx.trunk_port,
        http_port=pbx.http_port,
        mail_address=world.mail_address,
        mail_port=world.mailbox.inbox_port,
        sms_number=world.sms_number,
        outside_url=world.page_url,
        people=tuple(with_phones),
    )


def _command() -> Path:
    """`deskbell` as one can type it here."""
    command = Path(sys.executable).with_name("deskbell")
    if not command.exists():
        return Path("deskbell")
    return command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command


def _greet(console: Console, demo: Demo, folder: Path) -> None:
    command = shlex.quote(str(_command()))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("sign in as", "password", "name", "role", "phone", "queues"):
        table.add_column(column)
    for person in demo.people:
        table.add_row(
            person.login,
            person.password,
            person.name,
            person.role,
            person.extension,
            " ".join(person.queues),
        )
    agent, colleague = _newcomers(demo)
    console.print(f"\n[bold]Deskbell runs: {demo.url}[/]\n")
    console.print(table)
    console.print(
        f"\n1. Sign in there as {agent.login}, allow the microphone, and choose "
        "Available: your browser is the phone.\n"
        "2. In another terminal, a customer calls (602 is recorded, 603 answers by itself):\n"
        f"     {command} call --from {CALLER} --to 600\n"
        "3. In a third one, a colleague to transfer to, who answers and says a tone:\n"
        f"     {command} phone {colleague.login}\n"
        "4. The phone menu, in four languages; what was heard is told at the end:\n"
        f"     {command} call 610 --from +442079460101 --keys 1,4,1 --hold 15\n"
        "5. The same customer writes; all of it lands in one story, and in the Inbox:\n"
        f'     {command} mail --from {MAILBOX} --subject Coat "Is it there in blue?"\n'
        f'     {command} sms --from {CALLER} "On my way."\n'
        f"   What customers see of it, and where they answer: {demo.outside_url}\n"
        f"   A shop's page with the chat: {demo.url}/demo/shop\n"
        f"   The customers' own pages: {demo.url}/hall\n"
        f"\n{command} watch shows all live, {command} doctor checks it. A SIP phone registers at "
        f"{demo.sip_address}:{demo.sip_port} (UDP) with a secret of {folder / 'demo.json'}.\n"
        f"Log: {folder / 'deskbell.log'}. Ctrl-C stops everything."
    )


def _newcomers(demo: Demo) -> tuple[Person, Person]:
    """Who to sign in as, and a colleague: agents, by name those that the README speaks of."""
    agents = [person for person in demo.people if person.role == "agent" and person.extension]
    agents.sort(
        key=lambda person: (
            README_AGENTS.index(person.login) if person.login in README_AGENTS else 9,
            person.extension,
        )
    )
    return agents[0], agents[1]
