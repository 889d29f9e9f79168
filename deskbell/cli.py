"""The `deskbell` command: its subcommands, their options and help.

Owns what can be typed. Each subcommand is a few lines that call the module that does the work,
imported only then, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
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
app.add_typer(agents, name="agent")

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


@app.command()
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


@app.command()
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


def main() -> None:
    """Run the command; every failure it knows becomes one line and an exit code."""
    from deskbell.config import ConfigError

    try:
        app(standalone_mode=True)
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
