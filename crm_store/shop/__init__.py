"""The shop that the phone menus speak of: the house, its goods, its orders, its promotions."""
