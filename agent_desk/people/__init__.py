"""Customers, their story, tasks and visits, as pages and as JSON."""
