"""Rings at a page that is gone: nobody hears them, so they end and come anew.

Owns how such a ring is ended so that nobody misses a call by it: a queue offers the call again at
once, a call to the person is dialled again when the phone is back (the dialplan's direct-call waits
for that). Refuses to know pages: it is told that a phone's page went, or that another came.
"""

from __future__ import annotations

import logging

from cti.ami.link import ActionFailed
from cti.pbx.configuration import UNHEARD_CAUSE
from cti.phones.phone_legs import channels_of
from cti.switchboard import Switchboard

log = logging.getLogger(__name__)


async def end_unheard_rings(switchboard: Switchboard, endpoint: str) -> None:
    """End the rings at this phone, which sound nowhere. Raises LinkDown, ActionTimeout."""
    for _, channel in list(channels_of(switchboard, endpoint)):
        if channel.up or not channel.dialled:
            continue
        switchboard.calls.will_hang_up(channel, UNHEARD_CAUSE)
        try:
            await switchboard.action("Hangup", Channel=channel.name, Cause=UNHEARD_CAUSE)
        except ActionFailed:
            log.debug("%s was gone already", channel.name)
        else:
            log.info("%s rang at a page that is gone: it rings anew", endpoint)
