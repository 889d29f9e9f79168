"""What providers call: signed by them, and by nobody else."""
