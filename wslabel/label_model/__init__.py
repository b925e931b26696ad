"""Read votes, write labels: one probability per class for every image that has a vote."""
