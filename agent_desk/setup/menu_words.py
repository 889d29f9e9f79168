"""What a menu's parts and problems are called in the reader's language.

Owns the words of the menu editor's lists. What the parts are is ivr.menus'.
"""

from __future__ import annotations

from agent_desk.languages import Language
from ivr.menus.problems import Problem


def kind_titles(_: Language) -> dict[str, str]:
    """The kinds of nodes."""
    return {
        "menu": _("Choice by keys"),
        "say": _("Say something"),
        "hours": _("By opening hours"),
        "function": _("A conversation"),
        "queue": _("To agents"),
        "message": _("Leave a message"),
        "goto": _("Go on elsewhere"),
        "hang_up": _("Say good-bye"),
    }


def function_titles(_: Language) -> dict[str, str]:
    """The conversations that a node can hold."""
    return {
        "language": _("Choose the language"),
        "points": _("Points by card number"),
        "order": _("Order status"),
        "product": _("Goods and prices"),
        "hours": _("Tell the opening hours"),
        "promotions": _("Tell today's promotions"),
        "places": _("Tell where things are"),
        "cards": _("Tell which cards are taken"),
        "way": _("Tell how to get there"),
        "parking": _("Tell about parking"),
        "dining": _("Tell about dining"),
        "medical": _("Tell about medical help"),
        "letting": _("Rent a stand"),
        "complaint": _("Record a complaint"),
        "callback": _("Be called back"),
    }


def problem_text(problem: Problem, _: Language) -> str:
    """What is wrong and what to do about it."""
    said = {
        "no_nodes": _("There is nothing in this menu yet."),
        "unknown_start": _("It begins at “%s”, which there is not."),
        "node_twice": _("Another part has the same id."),
        "unreachable": _("Nothing leads here."),
        "dead_end": _("This leads nowhere: say what comes next."),
        "unknown_target": _("It leads to “%s”, which there is not."),
        "circle": _("From here callers go round in a circle without pressing a key."),
        "missing_text": _("A text is missing: %s."),
        "bad_placeholder": _("%s cannot be filled in here."),
        "unknown_prompt": _("There is no built-in text “%s”."),
        "unknown_queue": _("There is no queue “%s”."),
        "unserved_queue": _("No agent serves the queue “%s”."),
        "unknown_calendar": _("There are no opening hours “%s”."),
        "unknown_function": _("There is no conversation “%s”."),
        "key_twice": _("The key %s is given twice."),
        "wrong_key": _("“%s” cannot be pressed here: use 1 to 9. 0 always leads to an agent."),
        "too_many_choices": _("%s choices are too many: nobody remembers more than nine."),
        "no_agents": _("Say which queue the key 0 leads to."),
        "unknown_language": _("Nothing here speaks “%s”."),
    }[problem.kind]
    return said % problem.detail if "%s" in said else said
