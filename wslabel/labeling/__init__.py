"""Read features, write votes: one integer column per labeling function."""
