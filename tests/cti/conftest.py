"""The real Asterisk and the telephone network, for the tests of this folder."""

from tests.asterisk_fixtures import pbx, pbx_settings, sip_network

__all__ = ["pbx", "pbx_settings", "sip_network"]
