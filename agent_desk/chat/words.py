"""The texts of the chat: what the widget shows, and what is written to a visitor who left.

Owns their list, by key; the widget has none of its own.
"""

from __future__ import annotations

from agent_desk.languages import NAMES, Language, language


def launcher_words() -> dict[str, dict[str, str]]:
    """What the button says before anything is asked of the desk, by language."""
    return {code: _launcher(language(code)) for code in NAMES}


def _launcher(_: Language) -> dict[str, str]:
    return {
        "launcher": _("Chat with us"),
        "loading": _("One moment…"),
        "away": _("The chat cannot be reached just now. Please try again in a minute."),
        "minimise": _("Close the chat window"),
    }


def widget_words(_: Language) -> dict[str, str]:
    """What the widget shows once it is open; %(…)s are filled in by its script."""
    return _launcher(_) | _start_words(_) | _chat_words(_) | _form_words(_) | _problem_words(_)


def _start_words(_: Language) -> dict[str, str]:
    return {
        "chat_with": _("Chat with %(house)s"),
        "hello": _("Welcome to %(house)s. What may we help you with?"),
        "name": _("Your name"),
        "if_you_like": _("Only if you like"),
        "topic": _("What is it about?"),
        "mail": _("Mail address"),
        "phone": _("Phone number"),
        "closed": _("Closed now"),
        "closed_until": _("Closed now, opens %(time)s"),
        "nobody_there": _("Open, but nobody is at the desk just now"),
        "somebody_there": _("Somebody is at the desk"),
        "usual_wait": _("Usually answered within %(wait)s."),
        "one_minute": _("a minute"),
        "minutes": _("%(count)s minutes"),
        "reach_needed": _(
            "Leave a mail address or a phone number, so that our answer reaches you."
        ),
        "reach_if_gone": _("If you have to go, our answer follows you by mail or SMS."),
        "what_we_keep": _("What we keep"),
        "what_we_keep_text": _(
            "%(house)s keeps what you write here, what you tell of yourself, your language and the "
            "address of this page, to answer you and to know of it when you come again. No cookie "
            "is set. Your browser keeps a key to this chat until you close the tab."
        ),
        "remember": _("Remember this chat on this device"),
        "start": _("Start the chat"),
        "leave_a_message": _("Write a message"),
        "consent": _("By starting you agree to that."),
    }


def _chat_words(_: Language) -> dict[str, str]:
    return {
        "messages": _("Messages"),
        "new_messages": _("New messages"),
        "you": _("You"),
        "sending": _("Sending…"),
        "not_sent": _("Not sent."),
        "write": _("Write a message"),
        "send": _("Send"),
        "attach": _("Attach a file"),
        "more": _("More"),
        "end": _("End the chat"),
        "ended": _("This chat has ended. Thank you for writing to us."),
        "new_chat": _("Start a new chat"),
        "is_writing": _("%(name)s is writing…"),
        "is_here": _("%(name)s is here for you"),
        "write_first": _("Write to us: somebody is here."),
        "you_are_next": _("You are next."),
        "ahead": _("Before you: %(count)s."),
        "closed_by_us": _("Settled. Write again if there is anything else."),
        "answer_elsewhere": _("Nobody is at the desk just now. Our answer follows you."),
        "leave_reach": _("Nobody is at the desk just now. Leave a mail address or a number."),
        "no_connection": _("No connection. What you write is sent as soon as it is back."),
        "file_away": _("The file cannot be fetched just now."),
        "file_most": _("A file may have at most %(size)s."),
    }


def _form_words(_: Language) -> dict[str, str]:
    return {
        "cancel": _("Cancel"),
        "keep": _("Keep"),
        "transcript": _("Mail me this chat"),
        "transcript_text": _("You get what was written so far."),
        "transcript_done": _("The mail is on its way."),
        "reach": _("If I have to go"),
        "reach_done": _("We know where to find you."),
        "proof": _("Show that it is me"),
        "proof_text": _(
            "Give the mail address or the number that we know of you. A code is sent there; then "
            "we may speak of your orders and points."
        ),
        "send_code": _("Send a code"),
        "code_text": _("If we know that address, a code is on its way. Enter it here."),
        "code": _("Code"),
        "confirm": _("Confirm"),
        "proof_done": _("Thank you, we know that it is you."),
    }


def _problem_words(_: Language) -> dict[str, str]:
    return {
        "problem_mail": _("That is no mail address."),
        "problem_phone": _("That is no phone number. Begin with + and the country."),
        "problem_address": _("The chat was mailed to another address before."),
        "problem_empty": _("There is nothing to mail yet."),
        "problem_too_fast": _("That was a lot at once. Wait a little."),
        "problem_away": _("The chat cannot be reached just now. Please try again in a minute."),
        "problem_other": _("That did not work. Please try again."),
        "proof_wrong": _("That is not the code, or it is too old."),
        "proof_wait": _("Too many codes were asked for. Please try again later."),
        "refused_too_long": _("Not sent: it is too long."),
        "refused_away": _("Not sent: the chat cannot be reached just now."),
        "refused_too_large": _("Not sent: the file is too large."),
        "refused_executable": _("Not sent: programs are not accepted."),
        "refused_archive_bomb": _("Not sent: that archive is not accepted."),
        "refused_archive_damaged": _("Not sent: the archive is damaged."),
        "refused_picture_too_large": _("Not sent: the picture is too large."),
        "file_refused": _("not accepted"),
    }


def letter_words(key: str, code: str) -> str:
    """A sentence of a letter to a visitor, in that language. Raises KeyError for an unknown key."""
    _ = language(code)
    return {
        "you": _("You"),
        "away_subject": _("Your chat with %(house)s"),
        "away_intro": _("You had left our chat before this came:"),
        "away_outro": _("You can simply answer this message."),
        "transcript_subject": _("Your chat with %(house)s, %(date)s"),
        "code_subject": _("Your code for %(house)s"),
        "code": _("%(code)s is your code for the chat with %(house)s. Give it to nobody."),
    }[key]
