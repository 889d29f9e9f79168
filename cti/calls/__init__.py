"""What calls are and become, and what is done to them."""
