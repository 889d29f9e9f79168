"""The web hall: the customers' own pages, with their own sign-in."""
