"""Fax: pages that came and pages that go."""
