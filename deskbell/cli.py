"""The `deskbell` command: its subcommands, their options and help.

Owns what can be typed. Each subcommand is a few lines that call the module that does the work,
imported only then, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deskbell.failure import CommandFailed, ExitCode

app = typer.Typer(
    name="deskbell",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Deskbell: a contact centre for shops and malls, beside Asterisk.",
    epilog="Exit codes: 0 done, 1 it did not work or a check failed, 2 the command line was not "
    "understood, 3 the configuration can't be used, 130 interrupted.",
)
agents = typer.Typer(no_args_is_help=True, help="The agents who may sign in to the desk.")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration, TOML (default: deskbell.toml here, if there is one).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
DemoFolder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="The demo's folder (default: var/demo)."),
]
AskedPassword = Annotated[
    str | None,
    typer.Option(
        "--password",
        envvar="DESKBELL_PASSWORD",
        show_envvar=True,
        help="The password; none given: one is made and printed. Others see it in the process "
        "list, so prefer the variable.",
    ),
]


class PhoneName(StrEnum):
    BROWSER = "browser"
    DESK = "desk"


class RoleName(StrEnum):
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class LanguageName(StrEnum):
    ENGLISH = "en"
    CHINESE = "zh"
    SPANISH = "es"
    PERSIAN = "fa"


@app.command(rich_help_panel="Run")
def demo(folder: DemoFolder = None) -> None:
    """Run all of Deskbell here with a sample mall, until Ctrl-C.

    Everything it makes is in var/demo; passwords are made once and printed at each start.

    Example: `deskbell demo`
    """
    from deskbell.demo import demo as run
    from deskbell.running_demo import DEMO_FOLDER

    run((folder or DEMO_FOLDER).absolute())


@app.command(rich_help_panel="Run")
def serve(
    config: Config = None,
    record_ami: Annotated[
        Path | None,
        typer.Option(
            "--record-ami",
            metavar="FILE",
            help="Append the bytes read from AMI to FILE, for `deskbell replay`.",
        ),
    ] = None,
) -> None:
    """Run the service: the desk, the AMI link, and an Asterisk of its own unless told otherwise.

    Example: `deskbell serve --config /etc/deskbell.toml`
    """
    from deskbell.config import load_settings
    from deskbell.serve import serve as run

    run(load_settings(config), record_ami)


@app.command(rich_help_panel="Run")
def migrate(config: Config = None) -> None:
    """Bring the database to this release's schema. Safe to repeat.

    Example: `deskbell migrate --config /etc/deskbell.toml`
    """
    from deskbell import administration
    from deskbell.config import load_settings
    from deskbell.event_loop import run

    typer.echo(run(administration.migrate(load_settings(config))))


@app.command(rich_help_panel="Try and look")
def call(
    number: Annotated[
        str | None, typer.Argument(metavar="NUMBER", help="The number dialled; as --to.")
    ] = None,
    *,
    caller: Annotated[
        str, typer.Option("--from", metavar="NUMBER", help="The caller's number.")
    ] = "+8613800138000",
    called: Annotated[
        str, typer.Option("--to", metavar="NUMBER", help="The number dialled.")
    ] = "600",
    press: Annotated[
        str | None,
        typer.Option(
            "--press",
            "--keys",
            metavar="1,2#",
            help="Keys pressed after the answer; a comma is a second's pause.",
        ),
    ] = None,
    hold: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="Hang up this long after the answer and the keys."
        ),
    ] = 120.0,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Give up if nobody answers in time.")
    ] = 120.0,
    name: Annotated[str, typer.Option(help="The caller's name as the network shows it.")] = "",
    folder: DemoFolder = None,
    as_json: Json = False,
) -> None:
    """Call the running demo as the telephone network would, with real SIP and sound.

    Of a call to a phone menu it tells at the end what was heard and keyed there.

    Example: `deskbell call 610 --from +442079460101 --keys 1,4,1 --hold 15`
    """
    from deskbell import telephone

    wish = telephone.Wish(
        caller=caller,
        called=number or called,
        keys=press or "",
        hold_seconds=hold,
        patience_seconds=patience,
        name=name,
    )
    telephone.call(wish, folder=folder, as_json=as_json)


@app.command(rich_help_panel="Try and look")
def phone(
    agent: Annotated[
        str,
        typer.Argument(help="Whose phone to be: a login, an extension, or `outside`: customers."),
    ],
    answer_after: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Ring this long before answering.")
    ] = 2.0,
    folder: DemoFolder = None,
) -> None:
    """Be an agent's phone in the running demo: register, ring, answer, until Ctrl-C.

    `outside` is whoever is called out there, such as a customer who is called back.

    Example: `deskbell phone lin --answer-after 3`
    """
    from deskbell import telephone

    telephone.phone(agent=agent, answer_after=answer_after, folder=folder)


@app.command(rich_help_panel="Try and look")
def mail(
    text: Annotated[str, typer.Argument(help="What the customer writes.")],
    *,
    sender: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="The customer's mail address.")
    ] = "anna@customers.example",
    subject: Annotated[str, typer.Option(help="The mail's subject.")] = "A question",
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A file to go along; repeatable.")
    ] = None,
    folder: DemoFolder = None,
) -> None:
    """Write a mail to the running demo as a customer would; it comes in by SMTP.

    Example: `deskbell mail --from anna@customers.example --subject Coat "Is it there in blue?"`
    """
    from deskbell import mail_command
    from deskbell.running_demo import DEMO_FOLDER

    mail_command.send(sender, subject, text, attach or [], folder or DEMO_FOLDER)


@app.command(rich_help_panel="Try and look")
def sms(
    text: Annotated[str, typer.Argument(help="What the customer writes.")],
    sender: Annotated[
        str, typer.Option("--from", metavar="NUMBER", help="The customer's number.")
    ] = "+8613800138000",
    folder: DemoFolder = None,
) -> None:
    """Write an SMS to the running demo, as a customer with that number.

    Example: `deskbell sms --from +8613800138000 "On my way."`
    """
    from deskbell import sms_command
    from deskbell.running_demo import DEMO_FOLDER

    sms_command.send(sender, text, folder or DEMO_FOLDER)


@app.command(rich_help_panel="Try and look")
def watch(
    url: Annotated[
        str | None, typer.Option(help="The desk's address (default: the running demo).")
    ] = None,
    user: Annotated[str, typer.Option(help="A supervisor's login, with --url.")] = "",
    once: Annotated[bool, typer.Option("--once", help="Print what is now, and end.")] = False,
    as_json: Json = False,
    folder: DemoFolder = None,
) -> None:
    """Show a running service's calls, queues and agents, live.

    Without --url it shows the running demo. With --url the password is asked for, or taken from
    DESKBELL_PASSWORD. With --json every frame of the push is a line.

    Example: `deskbell watch --url https://desk.example.com --user mei`
    """
    from deskbell import watch as watching
    from deskbell.running_demo import DEMO_FOLDER, running

    if url is None:
        found = running(folder or DEMO_FOLDER)
        supervisor = found.supervisor()
        url, user, password = found.url, supervisor.login, supervisor.password
    else:
        user = user or typer.prompt("Login", err=True)
        password = os.environ.get("DESKBELL_PASSWORD") or typer.prompt(
            f"Password of {user}", hide_input=True, err=True
        )
    watching.watch(url, user, password, once=once, as_json=as_json)


@app.command(rich_help_panel="Try and look")
def doctor(config: Config = None, folder: DemoFolder = None, as_json: Json = False) -> None:
    """Check configuration, database, Asterisk, queues, phones, clocks, disk; say how to mend.

    Checks what --config names; without it the running demo, if there is one. It changes nothing.
    Ends with 1 if something is broken; warnings alone end with 0.

    Example: `deskbell doctor --config /etc/deskbell.toml`
    """
    from deskbell.doctor import doctor as examine
    from deskbell.running_demo import DEMO_FOLDER, is_running, read

    place = folder or DEMO_FOLDER
    demo = read(place) if config is None and is_running(place) else None
    sys.exit(examine(Path(demo.config) if demo else config, demo=demo, as_json=as_json))


@app.command(rich_help_panel="Try and look")
def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Recorded AMI streams; - reads stdin.")
    ],
    as_json: Json = False,
) -> None:
    """Print what happened in recorded AMI streams, signal by signal.

    Each file is one PBX, named by the file. Make a recording with
    `deskbell serve --record-ami FILE`.

    Example: `deskbell replay tests/recorded/queue_answered.ami --json`
    """
    from deskbell.replay import replay as run

    run(files, as_json=as_json, output=sys.stdout, notes=sys.stderr)


@app.command(rich_help_panel="Administer")
def config(
    config: Config = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Every setting, its default and its meaning.")
    ] = False,
) -> None:
    """Print the settings in force (file and environment together), secrets masked.

    Example: `DESKBELL_DESK_PORT=9000 deskbell config`
    """
    from deskbell import config as configuration

    if reference:
        typer.echo(configuration.reference(), nl=False)
    else:
        typer.echo(configuration.effective(configuration.load_settings(config)), nl=False)


@app.command(rich_help_panel="Administer")
def requests() -> None:
    """Print every address of the desk, who may use it and what it takes and gives (Markdown).

    Example: `deskbell requests > docs/requests.md`
    """
    from deskbell.request_reference import reference

    typer.echo(reference(), nl=False)


@app.command("import-customers", rich_help_panel="Administer")
def import_customers(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, in any usual encoding.")],
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where rejected lines go (default: FILE.rejects.csv)."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="As gb18030, cp1256, utf-16 (default: found out).")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What is between fields (default: found out).")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="HEADING=MEANING", help="What an unusual heading means: Rufname=name"),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Import customers from a CSV file. Safe to repeat: nobody is imported twice.

    Lines that can't be taken are kept as they stood in a rejects file, with the same heading.

    Example: `deskbell import-customers customers.csv`
    """
    from deskbell import administration
    from deskbell.config import load_settings

    wrong = [pair for pair in column or [] if "=" not in pair]
    if wrong:
        raise typer.BadParameter(f"--column is HEADING=MEANING, not {wrong[0]}")
    wish = administration.ImportWish(
        file=file,
        rejects=rejects,
        encoding=encoding,
        delimiter=delimiter,
        columns=dict(pair.rsplit("=", 1) for pair in column or []),
    )
    administration.import_customers(load_settings(config), wish, as_json=as_json)


@app.command("asterisk-conf", rich_help_panel="Administer")
def asterisk_conf(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    config: Config = None,
) -> None:
    """Write Deskbell's part of a system Asterisk's configuration, to be #included there.

    Example: `deskbell asterisk-conf /etc/asterisk/deskbell`
    """
    from deskbell import administration
    from deskbell.config import load_settings
    from deskbell.event_loop import run

    written = run(administration.write_asterisk_files(load_settings(config), folder))
    for path in written:
        typer.echo(path)
    typer.echo("How to #include them: docs/asterisk.md", err=True)


@agents.command("add")
def add_agent(
    *,
    login: Annotated[str, typer.Argument(help="The name to sign in with.")],
    name: Annotated[str, typer.Option(help="The name others see (default: the login).")] = "",
    extension: Annotated[str, typer.Option(help="The number of the agent's phone.")] = "",
    phone: Annotated[
        PhoneName | None,
        typer.Option(help="What the agent telephones with (default: as it was, else browser)."),
    ] = None,
    role: Annotated[RoleName, typer.Option(help="What the agent may do.")] = RoleName.AGENT,
    language: Annotated[
        LanguageName, typer.Option(help="The desk's language for this agent.")
    ] = LanguageName.ENGLISH,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", help="A queue to serve; may be repeated.")
    ] = None,
    password: AskedPassword = None,
    config: Config = None,
) -> None:
    """Add an agent, or change the one with that login.

    Example: `deskbell agent add lin --name "林 Lin" --extension 1001 --queue sales`
    """
    from deskbell import administration
    from deskbell.config import load_settings
    from deskbell.event_loop import run

    chosen = run(
        administration.add_agent(
            load_settings(config),
            login=login,
            name=name or login,
            extension=extension,
            phone=phone and phone.value,
            role=role.value,
            language=language.value,
            queue_names=queue or [],
            password=password,
        )
    )
    if password is None:
        typer.echo(chosen)
        typer.echo(f"is the password of {login}; it is shown only now.", err=True)


@agents.command("list")
def list_agents(config: Config = None, as_json: Json = False) -> None:
    """List all agents.

    Example: `deskbell agent list --json`
    """
    from rich.console import Console

    from deskbell import administration
    from deskbell.config import load_settings
    from deskbell.event_loop import run

    settings = load_settings(config)
    run(administration.list_agents(settings, Console(highlight=False), as_json=as_json))


@agents.command("password")
def agent_password(login: str, password: AskedPassword = None, config: Config = None) -> None:
    """Give an agent a new password; ends the agent's sessions.

    Example: `deskbell agent password lin`
    """
    from deskbell import administration
    from deskbell.config import load_settings
    from deskbell.event_loop import run

    chosen = run(administration.set_password(load_settings(config), login, password))
    if password is None:
        typer.echo(chosen)
        typer.echo(f"is the new password of {login}; it is shown only now.", err=True)


app.add_typer(agents, name="agent", rich_help_panel="Administer")


def main() -> None:
    """Run the command; every failure it knows becomes one line and an exit code."""
    from deskbell.config import ConfigError

    try:
        app(prog_name="deskbell")
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"deskbell: {problem}", err=True)
        sys.exit(ExitCode.CONFIGURATION)
    except CommandFailed as failure:
        typer.echo(f"deskbell: {failure}", err=True)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read us (head, less) has seen enough: end as a program killed by SIGPIPE would.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
