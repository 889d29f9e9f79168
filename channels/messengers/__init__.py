"""Messengers: WhatsApp through Twilio, a WeChat official account."""
