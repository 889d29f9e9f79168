"""WeChat's calls: the check of our address, and what customers write.

Owns the route: nothing is looked at before the signature is found right and new. The answer is
"success" only when it is committed; WeChat says it again otherwise.
"""

from __future__ import annotations

from aiohttp import web

from agent_desk.entrance.visitor import PARTS
from channels.messengers.wechat import LARGEST_POST, NotUnderstood, WeChatWebhook

LONGEST_ECHO = 200


async def show_echo(request: web.Request) -> web.StreamResponse:
    """GET /hooks/wechat: says back what WeChat says, when the address is entered there."""
    _genuine(request)
    echo = request.query.get("echostr", "")
    if len(echo) > LONGEST_ECHO or not echo.isprintable():
        raise web.HTTPBadRequest
    return web.Response(text=echo)


async def take(request: web.Request) -> web.StreamResponse:
    """POST /hooks/wechat: a message, or that somebody follows the account, or no more."""
    webhook = _genuine(request)
    if request.content_length is None or request.content_length > LARGEST_POST:
        raise web.HTTPRequestEntityTooLarge(
            max_size=LARGEST_POST, actual_size=request.content_length or 0
        )
    try:
        await webhook.take(await request.read())
    except NotUnderstood:
        raise web.HTTPBadRequest from None
    return web.Response(text="success")


def _genuine(request: web.Request) -> WeChatWebhook:
    webhook = request.app[PARTS].webhooks.wechat
    if webhook is None:
        raise web.HTTPNotFound
    names = [*request.query]
    if len(names) != len(set(names)) or not webhook.is_genuine(request.query):
        raise web.HTTPForbidden(text="The signature is not WeChat's.")
    return webhook
