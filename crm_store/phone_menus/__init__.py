"""Phone menus as data: what a supervisor changes, and what callers did in them."""
