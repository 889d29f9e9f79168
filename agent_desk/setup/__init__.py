"""The pages where supervisors set the desk up."""
