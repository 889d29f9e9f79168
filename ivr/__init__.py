"""The phone menus: what a customer hears and keys, and where the call goes on."""
