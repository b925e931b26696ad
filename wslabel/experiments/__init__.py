"""What goes around the story more than once: comparisons, self-training, sweeps."""
