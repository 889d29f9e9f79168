"""The providers' routes. Each checks a signature of its own: no session, no form of ours."""

from __future__ import annotations

from agent_desk.entrance.gate import Access, Route
from agent_desk.webhooks import files, twilio, wechat

ROUTES = (
    Route("POST", "/hooks/twilio/messages", twilio.take_message, Access.SIGNED),
    Route("POST", "/hooks/twilio/status", twilio.take_status, Access.SIGNED),
    Route("GET", "/hooks/wechat", wechat.show_echo, Access.SIGNED),
    Route("POST", "/hooks/wechat", wechat.take, Access.SIGNED),
    Route("GET", "/hooks/files/{token}", files.show_file, Access.SIGNED),
)
