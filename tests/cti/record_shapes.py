"""Record the corpus: `python -m tests.cti.record_shapes [shape…]`, all shapes without a name.

Owns the two PBXs that shapes are played on: ours, as rendered from the templates, with an AMI user
without a filter beside Deskbell's own; and another company's, whose names and habits are not ours,
whose only AMI user has no filter, and which writes no timestamps. What is recorded must then be
read, its signals decided, and kept as `<shape>.jsonl` beside it: `--accept shape…` writes there
what the call model says now.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from cti.pbx.embedded import (
    EmbeddedPbx,
    PbxConfiguration,
    PbxSettings,
    PhoneMenusConfig,
    QueueConfig,
)
from tests.asterisk_fixtures import CONFIGURATION, network_of
from tests.cti.pbx.agi_peer import AgiCaller, AgiPeer
from tests.cti.recording_stage import RECORDER, RECORDER_SECRET, Ear, Stage
from tests.cti.recordings import RECORDED, recording, signals_of
from tests.cti.shapes import OTHER, OURS, Shape

OTHER_PBX = Path(__file__).parent / "other_pbx"
RECORDER_ACCOUNT = f"""
[{RECORDER}]
secret = {RECORDER_SECRET}
permit = 127.0.0.1/255.255.255.255
read = all
write = all
writetimeout = 5000
"""


class OurPbx(EmbeddedPbx):
    """Ours, with a second AMI user who hears everything."""

    def _render(self) -> None:
        super()._render()
        manager = self.folder / "etc/manager.conf"
        manager.write_text(manager.read_text() + RECORDER_ACCOUNT)


class OtherPbx(EmbeddedPbx):
    """Another company's: everything that names or steers something is theirs."""

    def _render(self) -> None:
        super()._render()
        places = {
            "AMI_PORT": self.ami_port,
            "SIP_PORT": self.sip_port,
            "TRUNK_PORT": self.trunk_port,
            "PHONE_SECRET": RECORDER_SECRET,
        }
        for template in OTHER_PBX.glob("*.conf"):
            text = template.read_text()
            for word, port in places.items():
                text = text.replace(word, str(port))
            if template.name == "manager.conf":
                text += RECORDER_ACCOUNT
            (self.folder / "etc" / template.name).write_text(text)

    def phone_account(self, extension: str) -> tuple[str, str]:
        return extension, RECORDER_SECRET


async def menu(caller: AgiCaller) -> None:
    """611 leads to a queue and its agent 1002 first; the survey is one key."""
    if caller.entry == "survey":
        await caller.command("WAIT FOR DIGIT 20000")
        await caller.go("hangup")
    else:
        await caller.go("queue", DESKBELL_QUEUE="surveyed", DESKBELL_AGENT="1002")


@asynccontextmanager
async def stage_for(kind: type[EmbeddedPbx], recorded: Path) -> AsyncIterator[Stage]:
    """A PBX of that kind with its network, ready to play."""
    surveyed = QueueConfig(
        name="surveyed", number="609", strategy="linear", survey=True, preferred_agent_seconds=2
    )
    async with AgiPeer(menu) as peer:
        ours = replace(
            CONFIGURATION,
            parking_seconds=5,
            queues=(*CONFIGURATION.queues, surveyed),
            phone_menus=PhoneMenusConfig(
                host="127.0.0.1", port=peer.port, key="k3yOfTheShapes0123", numbers=("611",)
            ),
        )
        configuration = ours if kind is OurPbx else PbxConfiguration(parking_seconds=5)
        with tempfile.TemporaryDirectory(prefix="pbx") as folder:
            settings = PbxSettings(folder=Path(folder), configuration=configuration)
            async with kind(settings) as pbx, network_of(pbx) as network:
                hand = await Ear.open(pbx, RECORDER, RECORDER_SECRET, events="off")
                yield Stage(pbx, network, hand, recorded)
                await hand.close()


async def record(wanted: Sequence[str], recorded: Path = RECORDED) -> list[str]:
    """Record the shapes named (all, if none is); return those that failed, with why."""
    failed = []
    for kind, shapes in ((OurPbx, OURS), (OtherPbx, OTHER)):
        chosen = {name: play for name, play in shapes.items() if not wanted or name in wanted}
        if not chosen:
            continue
        async with stage_for(kind, recorded) as stage:
            for name, play in chosen.items():
                try:
                    await stage.record(name, play)
                    sys.stdout.write(f"{name}\n")
                except Exception as error:
                    failed.append(f"{name}: {type(error).__name__} {error}")
                    sys.stdout.write(f"FAILED {failed[-1]}\n")
                sys.stdout.flush()
    return failed


def accept(wanted: Sequence[str], recorded: Path = RECORDED) -> None:
    """Keep what the call model says now as what it must say."""
    for name in wanted:
        lines = [orjson.dumps(signal) for signal in signals_of(recording(name, recorded))]
        (recorded / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    wanted = sys.argv[1:]
    accepting = wanted[:1] == ["--accept"]
    wanted = wanted[1:] if accepting else wanted
    known: dict[str, Shape] = {**OURS, **OTHER}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"no such shape: {', '.join(unknown)}; known: {', '.join(known)}")
    if accepting:
        accept(wanted or list(known))
        return
    if failed := asyncio.run(record(wanted)):
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
