"""Hostile or contradictory settings never reach a file of Asterisk's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.configuration import (
    BadConfiguration,
    MailboxConfig,
    MenuConfig,
    PbxConfiguration,
    PhoneConfig,
    PhoneMenusConfig,
    QueueConfig,
    Secrets,
    render,
    understands_event_filters,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "make",
    [
        lambda: QueueConfig(name="x]\n[general", number="600"),
        lambda: QueueConfig(name="x", number="600,1,System(id)"),
        lambda: QueueConfig(name="x", number="600", exit_key="0", exit_number=""),
        lambda: QueueConfig(
            name="x", number="600", exit_key="0", exit_number="601", exit_mailbox="600"
        ),
        lambda: QueueConfig(name="x", number="600", overflow_queue="6", overflow_mailbox="7"),
        lambda: QueueConfig(name="x", number="600", overflow_queue="6", overflow_menu=True),
        lambda: QueueConfig(name="x", number="600", exit_key="1"),
        lambda: QueueConfig(
            name="x", number="600", exit_key="1", exit_menu=True, exit_number="601"
        ),
        lambda: QueueConfig(name="x", number="600", announcement="a\ncontext = from-agents"),
        lambda: PhoneConfig(extension="../1", agent_name="x"),
        lambda: MailboxConfig(number="600", name="a,b"),
        lambda: MenuConfig(number="610", choices={"12": "600"}),
        lambda: MenuConfig(number="610", choices={}, prompt="a)\nexten => x"),
        lambda: PbxConfiguration(trunk_address="localhost"),
        lambda: PbxConfiguration(
            phones=[PhoneConfig(extension="600", agent_name="x")],
            queues=[QueueConfig(name="x", number="600")],
        ),
        lambda: PbxConfiguration(
            queues=[QueueConfig(name="x", number="600", overflow_queue="699999")]
        ),
    ],
)
def test_it_is_refused(make: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - BadConfiguration and ipaddress's own
        make()  # type: ignore[operator]
    assert issubclass(BadConfiguration, ValueError)


@given(st.text(max_size=200))
def test_no_agents_name_opens_a_section_or_a_line(name: str) -> None:
    caller_name = PhoneConfig(extension="1001", agent_name=name).caller_name
    assert not set(caller_name) & set('\r\n\t\0";<>\\[]')
    assert caller_name == " ".join(caller_name.splitlines())
    PbxConfiguration(phones=[PhoneConfig(extension="1001", agent_name=name)]).all_mailboxes()


@pytest.mark.parametrize("version", [(18, 26, 4), (20, 11, 0), (20, 12, 0), (22, 2, 0), (23, 0, 0)])
def test_each_version_gets_event_filters_it_understands(
    tmp_path: Path, version: tuple[int, ...]
) -> None:
    render(PbxConfiguration(), tmp_path / "etc", Secrets(tmp_path / "s.json"), version)
    text = (tmp_path / "etc/manager.conf").read_text()
    new = version >= (20, 12)
    assert understands_event_filters(version) is new
    assert ("eventfilter(action(include),name(Newchannel)) =" in text) is new
    assert ("eventfilter = ^Event: (AgentCalled|" in text) is not new


@pytest.mark.parametrize(
    ("exit_to", "step"),
    [
        ({"exit_number": "601"}, "exten => 1,1,Goto(from-trunk,601,1)"),
        ({"exit_mailbox": "600"}, "exten => 1,1,VoiceMail(600@deskbell,u)"),
    ],
)
def test_a_queues_key_leads_to_a_number_or_a_mailbox(
    tmp_path: Path, exit_to: dict[str, str], step: str
) -> None:
    queue = QueueConfig(name="sales", number="600", exit_key="1", **exit_to)  # type: ignore[arg-type]
    configuration = PbxConfiguration(queues=[queue])
    render(configuration, tmp_path / "etc", Secrets(tmp_path / "s.json"), (22, 10, 1))
    assert step in (tmp_path / "etc/extensions.conf").read_text()
    assert ("600 =>" in (tmp_path / "etc/voicemail.conf").read_text()) is (
        "exit_mailbox" in exit_to
    )


MENUS = PhoneMenusConfig(host="127.0.0.1", port=4573, key="k3yOfTheTestsOwn0123")


def rendered(
    folder: Path, name: str, queue: QueueConfig, menus: PhoneMenusConfig | None = MENUS
) -> str:
    configuration = PbxConfiguration(queues=[queue], phone_menus=menus)
    render(configuration, folder / "etc", Secrets(folder / "s.json"), (22, 10, 1))
    return (folder / f"etc/{name}.conf").read_text()


@pytest.mark.parametrize(
    ("menus", "overflow", "exit_to"),
    [
        (MENUS, "Goto(overflow-menu,sales,1)", "Goto(waiting-menu,sales,1)"),
        (None, "Goto(1)", "Goto(queue-numbers,600,1)"),
    ],
)
def test_who_waits_comes_to_the_menu_or_waits_on_where_there_is_none(
    tmp_path: Path, menus: PhoneMenusConfig | None, overflow: str, exit_to: str
) -> None:
    queue = QueueConfig(
        name="sales", number="600", overflow_menu=True, exit_key="1", exit_menu=True
    )
    text = rendered(tmp_path, "extensions", queue, menus)
    assert f" same => n,{overflow}\n" in text
    assert f"exten => 1,1,{exit_to}\n" in text


@pytest.mark.parametrize("menus", [MENUS, None])
def test_the_caller_goes_on_after_the_agent_only_to_a_survey(
    tmp_path: Path, menus: PhoneMenusConfig | None
) -> None:
    queue = QueueConfig(name="sales", number="600", survey=True)
    text = rendered(tmp_path, "extensions", queue, menus)
    assert ("Queue(sales,tkCcb(" in text) is ("Goto(survey,sales,1)" in text) is (menus is MENUS)


def test_a_queue_announces_in_its_own_words(tmp_path: Path) -> None:
    queue = QueueConfig(
        name="sales", number="600", announcement="/var/prompts/offer", announcement_seconds=45
    )
    text = rendered(tmp_path, "queues", queue)
    assert "periodic-announce = /var/prompts/offer\nperiodic-announce-frequency = 45\n" in text
    assert "periodic-announce" not in rendered(
        tmp_path, "queues", QueueConfig(name="sales", number="600")
    )


def test_every_caller_has_a_place_and_the_lost_phones_is_the_front(tmp_path: Path) -> None:
    text = rendered(tmp_path, "extensions", QueueConfig(name="sales", number="600"))
    assert "Set(QUEUE_PRIO=$[2147483647 - ${EPOCH}])" in text
    assert "Set(QUEUE_PRIO=2000000000)" in text
