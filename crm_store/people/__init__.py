"""Customers: who they are, how they are reached, what they have, who they were before."""
