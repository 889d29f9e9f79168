"""What passed between a person and the house, and what is still to be done."""
