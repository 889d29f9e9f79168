"""The texts that the page's scripts show, in the reader's language.

Owns their list: a script asks for a text by the key given here and has none of its own.
"""

from __future__ import annotations

from typing import Any

from agent_desk.languages import NAMES, Language


def desk_texts(_: Language) -> dict[str, Any]:
    """All of them, by key; what belongs together is a dict of its own."""
    return {
        "language": _.code,
        "state": {
            "offline": _("Offline"),
            "available": _("Available"),
            "ringing": _("Ringing"),
            "on_call": _("On a call"),
            "wrap_up": _("Wrap-up"),
            "paused": _("Paused"),
            "written_work": _("Written work"),
        },
        "forced_pause": {
            "missed-rings": _("Paused: %(count)s calls rang unanswered. Say when you are back."),
            "phone-lost": _("Paused: your phone was gone during a call."),
        },
        "forced_pause_short": {
            "missed-rings": _("Paused: missed calls"),
            "phone-lost": _("Paused: phone lost"),
        },
        "pause_follows": _("After this: %(reason)s"),
        "call": {
            "started": _("Starting"),
            "queued": _("Waiting"),
            "ringing": _("Ringing"),
            "offered": _("Incoming call"),
            "dialling": _("Calling…"),
            "answered": _("On the line"),
            "held": _("On hold"),
            "parked": _("Parked"),
            "ended": _("Call ended"),
        },
        "direction": {
            "inbound": _("Inbound"),
            "outbound": _("Outbound"),
            "internal": _("Internal"),
        },
        "segment": {"vip": _("VIP"), "member": _("Member"), "ordinary": _("Customer")},
        "channel": {
            "phone": _("Phone"),
            "mail": _("Mail"),
            "sms": _("SMS"),
            "chat": _("Chat"),
            "web": _("Web"),
            "fax": _("Fax"),
            "messenger": _("Messenger"),
            "visit": _("Visit"),
        },
        "contact": {
            "phone": _("Phone"),
            "mail": _("Mail"),
            "fax": _("Fax"),
            "messenger": _("Messenger"),
            "other": _("Other"),
        },
        "languages": dict(NAMES),
        "withheld": _("Number withheld"),
        "withheld_hint": _(
            "The number is withheld. Ask for the name, or find the customer with /."
        ),
        "nobody_has_number": _("Nobody is known by this number yet."),
        "no_call": _("No call"),
        "no_call_hint": {
            "offline": _("You are in no queue. Choose your state above to get calls."),
            "paused": _("You are on a pause. No calls come to you."),
            "wrap_up": _("Wrap-up. No calls come to you yet."),
            "written_work": _("Written work. No calls come to you."),
            "available": _("Calls come here by themselves."),
        },
        "choices_come": _("The choices come with the call."),
        "member_card": _("Member card"),
        "prefers": _("prefers"),
        "new_customer": _("New customer"),
        "several": _("Several customers have this number. Who is calling?"),
        "looking_up": _("Looking for the customer…"),
        "with_colleague": _("A call between colleagues. No customer belongs to it."),
        "points": _("points"),
        "no_history": _("No contact with this customer yet."),
        "no_history_short": _("no contact yet"),
        "last_served_by": _("Last served by"),
        "via": _("via"),
        "keyed": _("Keyed"),
        "in_menu": _("In the phone menu"),
        "longest": _("longest"),
        "no_agents": _("no agents"),
        "free": _("free"),
        "busy": _("busy"),
        "paused": _("paused"),
        "saving": _("Saving…"),
        "saved": _("Saved"),
        "kept_here": _("Kept on this computer; not yet on the server"),
        "offer_title": _("Incoming call"),
        "offer_said": _("Incoming call from %(who)s"),
        "try_again": _("That did not work. Try again."),
        "not_connected": _("Not connected. What you see may be old; trying again…"),
        "session_over": _("Your session is over. Sign in again."),
        "unfinished": _("Not yet wrapped up"),
        "no_calls": _("No calls at this moment."),
        "call_number": _("Call this number"),
        "call_person": _("Call %(who)s"),
        "no_phone": _("The phone of this page is not ready."),
        "palette": {
            "recent": _("Used last"),
            "command": _("Commands"),
            "colleague": _("Call a colleague"),
            "queue": _("Call a queue"),
            "page": _("Pages"),
            "customer": _("Customers"),
            "article": _("Articles"),
            "nothing": _("Nothing found."),
            "count": _("%(count)s found"),
        },
        "back": _("Back"),
        "choose_disposition": _("Choose how the call was settled."),
        "follow_up": {"task": _("Follow up"), "callback": _("Call back")},
        "command": {
            "disposition_up": _("Back to the choices above"),
            "more_time": _("More time for the wrap-up"),
            "state": _("Change my state"),
            "available": _("Available again"),
            "note": _("Write the note"),
            "disposition": _("Choose how the call was settled"),
            "finish": _("Finish the wrap-up"),
            "palette": _("Find anything: commands, customers, colleagues"),
            "shortcuts": _("Show the list of shortcuts"),
            "find": _("Find a customer"),
            "leave_field": _("Out of a field, back to the keys"),
        },
    }
