"""What the inbox is given besides the store: where files lie, who is offered what, who chats.

Owns the exact shape of that, so that `deskbell/service.py` can fit the channels to it. What is not
given is as in a house without that channel. Knows no channel's technique.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from channels.attachments import AttachmentFiles
from channels.routing import Offer
from channels.sms.segments import Price


def _nothing_offered() -> Sequence[Offer]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenWork:
    """The channels, as far as the inbox needs them."""

    files: AttachmentFiles | None = None
    """None where no attachments are kept: none can be sent, none shown."""

    offers: Callable[[], Sequence[Offer]] = _nothing_offered
    """What is offered to whom at this moment. Never blocks. A change of it is told by the signal
    OffersChanged."""

    sms_price: Price | None = field(default=None)
    """What a segment of an SMS costs; None if nobody said."""
