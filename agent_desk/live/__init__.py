"""What is true at this moment, pushed to every desk."""
