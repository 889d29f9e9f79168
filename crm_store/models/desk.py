"""The desk: agents with their skills, their sessions, and what queues and wrap-ups offer.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import PhoneKind, RecordingPolicy, Role, RowId, Table


class Agent(Table):
    """A person at the desk. `login` is also the queue member's name in Asterisk. So many chats,
    and so many other conversations, are given to them at once (0: none)."""

    __tablename__ = "agents"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    login: Mapped[str] = mapped_column(String(100), unique=True)
    display_name: Mapped[str]
    extension: Mapped[str | None] = mapped_column(String(20), unique=True)
    role: Mapped[Role] = mapped_column(default=Role.AGENT)
    language: Mapped[str] = mapped_column(String(20), default="en")
    password_hash: Mapped[str] = mapped_column(default="")
    active: Mapped[bool] = mapped_column(default=True)
    phone: Mapped[PhoneKind] = mapped_column(default=PhoneKind.BROWSER)
    chats_at_once: Mapped[int] = mapped_column(default=3)
    written_at_once: Mapped[int] = mapped_column(default=8)
    created_at: Mapped[datetime]


class AgentQueue(Table):
    """An agent may serve a queue; a lower penalty is offered calls first, as Asterisk has it."""

    __tablename__ = "agent_queues"

    agent_id: Mapped[int] = mapped_column(RowId, ForeignKey("agents.id"), primary_key=True)
    queue: Mapped[str] = mapped_column(String(100), primary_key=True)
    penalty: Mapped[int] = mapped_column(default=0)


class DeskSession(Table):
    """A signed-in browser. The token itself is only in its cookie; here is its SHA-256."""

    __tablename__ = "desk_sessions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    agent_id: Mapped[int] = mapped_column(RowId, ForeignKey("agents.id"), index=True)
    csrf_token: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AgentStateEntry(Table):
    """One change of an agent's state, for reports of who was where when."""

    __tablename__ = "agent_state_entries"
    __table_args__ = (Index(None, "agent", "at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    agent: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(100), default="")
    queues: Mapped[list[str]] = mapped_column(default=list)
    at: Mapped[datetime]


class Queue(Table):
    """A queue. `overflow` is where a caller goes after `max_wait_seconds`: a queue's name,
    "waiting_menu", "voicemail" or "hangup". `titles` are by language. A wrap-up may be lengthened
    by at most `wrap_up_extra_seconds`; after `missed_rings` unanswered rings an agent is paused (0:
    never). `script` is a script's code. VIPs and members pass those who came at most their head
    start before them; the agent who last served the customer is rung alone for
    `preferred_agent_seconds` (0: not).

    Of conversations: "pull" lets agents take them, "push" gives them to whoever has room. Targets
    of the first answer and of the settlement count while the calendar `hours` is open."""

    __tablename__ = "queues"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    titles: Mapped[dict[str, str]]
    strategy: Mapped[str] = mapped_column(String(20), default="rrmemory")
    ring_seconds: Mapped[int] = mapped_column(default=20)
    wrap_up_seconds: Mapped[int] = mapped_column(default=30)
    max_wait_seconds: Mapped[int] = mapped_column(default=300)
    overflow: Mapped[str] = mapped_column(String(100), default="voicemail")
    exit_key: Mapped[str] = mapped_column(String(1), default="")
    exit_target: Mapped[str] = mapped_column(String(100), default="")
    auto_answer: Mapped[bool] = mapped_column(default=False)
    recording: Mapped[RecordingPolicy] = mapped_column(default=RecordingPolicy.ASKED)
    wrap_up_extra_seconds: Mapped[int] = mapped_column(default=300)
    missed_rings: Mapped[int] = mapped_column(default=3)
    script: Mapped[str | None] = mapped_column(String(100))
    vip_head_start_seconds: Mapped[int] = mapped_column(default=180)
    member_head_start_seconds: Mapped[int] = mapped_column(default=60)
    preferred_agent_seconds: Mapped[int] = mapped_column(default=8)
    written_mode: Mapped[str] = mapped_column(String(10), default="pull")
    first_answer_minutes: Mapped[int] = mapped_column(default=60)
    resolution_minutes: Mapped[int] = mapped_column(default=1440)
    chat_first_answer_seconds: Mapped[int] = mapped_column(default=60)
    hours: Mapped[str] = mapped_column(String(100), default="house")
    position: Mapped[int] = mapped_column(default=0)


class Disposition(Table):
    """How an interaction was settled, as a supervisor named it: a leaf of a tree by `parent`, the
    code of the branch that it is under. `follow_up` is what its wrap-up proposes: "", "task" or
    "callback"."""

    __tablename__ = "dispositions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    parent: Mapped[str | None] = mapped_column(String(100))
    follow_up: Mapped[str] = mapped_column(String(20), default="")
    position: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)


class QueueDisposition(Table):
    """A disposition that a queue's wrap-up offers."""

    __tablename__ = "queue_dispositions"

    queue_id: Mapped[int] = mapped_column(RowId, ForeignKey("queues.id"), primary_key=True)
    disposition_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("dispositions.id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(default=0)


class PauseReason(Table):
    __tablename__ = "pause_reasons"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    position: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)


class Skill(Table):
    """Something an agent can do to a degree: a language, a subject."""

    __tablename__ = "skills"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    position: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)


class AgentSkill(Table):
    """How well an agent can do it: 1 (a little) to 5 (as well as anybody)."""

    __tablename__ = "agent_skills"

    agent_id: Mapped[int] = mapped_column(RowId, ForeignKey("agents.id"), primary_key=True)
    skill: Mapped[str] = mapped_column(String(100), primary_key=True)
    level: Mapped[int]


class QueueSkill(Table):
    """A queue asks for a skill; who has it below `least_level` cannot serve the queue, and whoever
    has it better is offered calls first."""

    __tablename__ = "queue_skills"

    queue_id: Mapped[int] = mapped_column(RowId, ForeignKey("queues.id"), primary_key=True)
    skill: Mapped[str] = mapped_column(String(100), primary_key=True)
    least_level: Mapped[int] = mapped_column(default=1)
