"""The menus: a tree that a supervisor draws, and the conversations that its leaves are."""
