"""The telephone network around a PBX, as SIPp plays it: callers, phones and crowds with real sound.

For trying, showing and testing. Nothing of the service imports it; `deskbell call` and `phone` do.
"""
