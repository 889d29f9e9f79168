"""The store, beside the Asterisk and the telephone network of the folder above."""

from tests.store_fixtures import sqlite_database, sqlite_template, sqlite_url

__all__ = ["sqlite_database", "sqlite_template", "sqlite_url"]
