"""Who comes in, and what they may do: sessions, roles, CSRF, sign-in."""
