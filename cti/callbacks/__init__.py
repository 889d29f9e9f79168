"""Callbacks: customers who keep their place in a queue while they wait at home."""
