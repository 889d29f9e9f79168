"""Agents' phones in browsers."""
