"""Faxes over the PBX: pages that arrive, and pages that go out."""
