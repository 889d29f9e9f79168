"""Twilio's calls: a customer's SMS or WhatsApp message, and what became of one of ours.

Owns the two routes: nothing is looked at before the signature over the public address and the form
is found right. 200 is said only when it is committed; an exact repetition changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from twilio.request_validator import SIGNATURE_HEADER
from twilio.twiml.messaging_response import MessagingResponse

from agent_desk.entrance.visitor import PARTS, row_id
from channels.sms.twilio_webhooks import NotUnderstood, TwilioWebhooks

LARGEST_FORM = 65_536


async def take_message(request: web.Request) -> web.StreamResponse:
    """POST /hooks/twilio/messages: the answer is TwiML that says nothing."""
    webhooks, fields = await _genuine(request)
    try:
        await webhooks.take_message(fields)
    except NotUnderstood:
        raise web.HTTPBadRequest from None
    return web.Response(text=str(MessagingResponse()), content_type="text/xml")


async def take_status(request: web.Request) -> web.StreamResponse:
    """POST /hooks/twilio/status?message=: news of the outbox's message of that number."""
    webhooks, fields = await _genuine(request)
    try:
        await webhooks.take_status(fields, row_id(request.query.get("message", "")))
    except NotUnderstood:
        raise web.HTTPBadRequest from None
    return web.Response(status=204)


async def _genuine(request: web.Request) -> tuple[TwilioWebhooks, Mapping[str, str]]:
    webhooks = request.app[PARTS].webhooks.twilio
    if webhooks is None:
        raise web.HTTPNotFound
    if request.content_length is None or request.content_length > LARGEST_FORM:
        raise web.HTTPRequestEntityTooLarge(
            max_size=LARGEST_FORM, actual_size=request.content_length or 0
        )
    form = await request.post()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    signature = request.headers.get(SIGNATURE_HEADER, "")
    # A field that comes twice is none of Twilio's: what was signed and what is read would differ.
    if len(fields) != len(form) or not webhooks.is_genuine(_address_of(request), fields, signature):
        raise web.HTTPForbidden(text="The signature is not Twilio's.")
    return webhooks, fields


def _address_of(request: web.Request) -> str:
    """The address as Twilio called it, which is what it signs."""
    public = request.app[PARTS].public_url or f"{request.scheme}://{request.host}"
    return public.rstrip("/") + request.raw_path
