"""The texts that the inbox's scripts show, in the reader's language.

Owns their list: a script asks for a text by the key given here and has none of its own.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, is_supervisor, language_of, signed_in
from agent_desk.inbox.answers import cannot, refused_file
from agent_desk.languages import Language
from crm_store.contacts import conversation_search
from crm_store.staff import agents, queues

_REFUSED = (
    "too_large",
    "message_too_large",
    "too_many",
    "executable",
    "archive_bomb",
    "archive_damaged",
    "picture_too_large",
    "other",
)


async def inbox_texts(request: web.Request) -> dict[str, Any]:
    """All of them, with the names that belong to them: `people` by login, the `queues` whose views
    the agent has, and the `tags` in use."""
    _ = language_of(request)
    database = request.app[PARTS].database
    session = signed_in(request)
    everybody = await agents.all_agents(database)
    return fixed_texts(_) | {
        "people": {one.login: one.display_name for one in everybody if one.active},
        "queues": {
            queue.name: queue.title(_.code)
            for queue in await queues.all_queues(database)
            if is_supervisor(session) or queue.name in session.agent.queues
        },
        "tags": await conversation_search.tags_in_use(database),
    }


def fixed_texts(_: Language) -> dict[str, Any]:
    """All texts by key; what belongs together is a dict of its own."""
    return {
        "views": [
            ("mine", _("Mine")),
            ("unassigned", _("Nobody's yet")),
            ("mentions", _("Mentions of me")),
            ("waiting", _("Waiting for the customer")),
            ("snoozed", _("Put off")),
            ("all", _("All unsettled")),
            ("closed", _("Settled")),
            ("spam", _("Spam")),
        ],
        "states": {
            "open": _("open"),
            "waiting": _("waiting for the customer"),
            "snoozed": _("put off"),
            "closed": _("settled"),
            "spam": _("spam"),
        },
        "clock": {
            "first_answer": _("answer within %(time)s"),
            "first_answer_late": _("answer %(time)s late"),
            "resolution": _("settle within %(time)s"),
            "resolution_late": _("settling %(time)s late"),
            "snoozed": _("back at %(time)s"),
        },
        "unknown": _("Unknown"),
        "not_known": _("no customer of ours yet"),
        "says": _("says to be"),
        "on_page": _("on the page %(page)s"),
        "ask_who": _("Ask for a proof"),
        "ask_who_hint": _("The chat asks them for a code that goes to an address we know."),
        "asked_who": _("asked for a proof %(time)s"),
        "proven": _("has proven who they are"),
        "also_open": _("Also open with this person:"),
        "join": _("Join"),
        "join_hint": _("One conversation becomes of both. It can be undone."),
        "no_subject": _("(no subject)"),
        "nobody": _("nobody"),
        "none": _("none"),
        "unassigned": _("nobody's"),
        "no_queue": _("no queue"),
        "assigned_to": _("%(who)s has it"),
        "looks_now": _("%(who)s has this open"),
        "types_now": _("%(who)s is writing here"),
        "customer_types": _("The customer is writing…"),
        "customer_here": _("The customer is on the page"),
        "customer_left": _("The customer has left the page"),
        "empty_view": _("Nothing is here."),
        "nothing_found": _("No conversation has these words."),
        "nothing_waits": _("Nobody waits in your queues."),
        "writes": _("%(who)s: %(text)s"),
        "offered": _("A conversation for you: %(who)s"),
        "open": _("Open it"),
        "back": _("Back to the list"),
        "older": _("Earlier messages"),
        "note": _("Note"),
        "by_rule": _("A rule"),
        "message_of": _("%(who)s, %(time)s"),
        "automatic": {
            "auto_reply": _("automatic reply"),
            "list": _("mailing list"),
            "bounce": _("came back"),
            "complaint": _("spam complaint"),
            "rule": _("by a rule"),
        },
        "not_proven": _("sender not proven"),
        "not_proven_hint": _("Nothing shows that this mail comes from that address."),
        "quoted": _("What was quoted"),
        "problems": _("Parts of it could not be read"),
        "empty_message": _("(empty)"),
        "letter": _("As it was laid out"),
        "pictures_blocked": _(
            "Pictures from elsewhere are not loaded: loading them tells the sender that and where "
            "this is being read."
        ),
        "show_pictures": _("Show pictures"),
        "raw": _("As it came"),
        "quote": _("Quote"),
        "enlarge": _("Enlarge %(name)s"),
        "preview": _("Preview"),
        "talked": _("talked %(time)s"),
        "outcome": {
            "answered": _("answered"),
            "abandoned": _("hung up while waiting"),
            "no_answer": _("not answered"),
            "busy": _("Busy"),
            "failed": _("failed"),
            "voicemail": _("left a message"),
            "timeout": _("waited too long"),
        },
        "goes_soon": _("goes out in a moment"),
        "goes_at": _("goes out at %(time)s"),
        "delivery": {
            "waiting": _("waits to go out"),
            "sending": _("is being sent"),
            "sent": _("sent"),
            "delivered": _("delivered"),
            "failed": _("not sent"),
            "uncertain": _("perhaps not sent"),
            "cancelled": _("not sent, as somebody decided"),
        },
        "segments": _("%(count)s parts"),
        "segments_left": _("%(count)s parts, %(left)s characters left"),
        "segments_cost": _("%(count)s parts, %(left)s characters left, %(cost)s"),
        "take_back": _("Undo"),
        "send_again": _("Send again"),
        "sent_again": _("It is sent again."),
        "answer": _("Reply"),
        "answer_placeholder": _("Answer… / puts a text in"),
        "note_for_colleagues": _("Note for colleagues"),
        "note_placeholder": _("Only colleagues see this. @ names one of them."),
        "send": _("Send"),
        "keep_note": _("Keep the note"),
        "uploading": _("is being sent…"),
        "still_uploading": _("A file is still on its way."),
        "take_file_away": _("Take %(name)s away"),
        "cannot_answer": {
            word: cannot(word, _)
            for word in ("no_address", "bad_address", "address_in_trouble", "no_channel", "other")
        },
        "trouble": {
            "bounced": _("mails come back"),
            "complained": _("complained of our mails"),
            "invalid": _("does not exist"),
        },
        "refused_file": {word: refused_file(word, _) for word in _REFUSED},
        "meanwhile": _("Meanwhile:"),
        "understood": _("Understood"),
        "wrote_meanwhile": _("%(who)s wrote."),
        "answered_meanwhile": _("%(who)s answered."),
        "moved_on_answer": _(
            "Not sent: somebody else changed this conversation. Your text is still here."
        ),
        "change": {
            "assigned": _("It is with %(who)s now."),
            "queue": _("It waits in %(queue)s now."),
            "state": _("It is %(state)s now."),
            "tags": _("Tags: %(tags)s."),
            "customer": _("It is %(who)s's now."),
        },
        "may_be": _("Perhaps this is %(who)s: %(why)s"),
        "look": _("Look"),
        "it_is_them": _("It is"),
        "it_is_not": _("It is not"),
        "acts": {
            "all": _("What can be done with it"),
            "take": _("Take it"),
            "release": _("Back to the queue"),
            "assign": _("Give to…"),
            "snooze": _("Put off"),
            "wake": _("Take it up again"),
            "tag": _("Tag"),
            "close": _("Settle"),
            "reopen": _("Open again"),
            "next": _("Next"),
            "more": _("More"),
            "customer": _("Whose it is…"),
            "merge": _("Join with another…"),
            "unmerge": _("Undo the last joining"),
            "split": _("Part messages off…"),
            "spam": _("It is spam"),
            "no_spam": _("It is no spam"),
        },
        "snooze": {
            "later_today": _("Later today"),
            "tomorrow": _("Tomorrow"),
            "next_week": _("Next week"),
        },
        "choose_disposition": _("Choose how it was settled."),
        "choose_future": _("Choose a moment that is still to come."),
        "choose_one": _("Choose one of the list."),
        "none_to_join": _("There is no other conversation with this person."),
        "take_tag_away": _("Take the tag %(tag)s away"),
        "keys": {
            "take_next": _("Take the next conversation"),
            "down": _("Down the list"),
            "up": _("Up the list"),
            "find": _("Find conversations"),
            "back": _("Back to the list"),
            "take": _("Take the conversation"),
            "snooze": _("Put the conversation off, or take it up again"),
            "tag": _("Tag the conversation"),
            "close": _("Settle the conversation, or open it again"),
            "next": _("The next conversation of the list"),
            "answer": _("Write an answer"),
            "note": _("Write a note to colleagues"),
            "send": _("Send"),
        },
    }
