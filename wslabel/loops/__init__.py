"""What goes around more than once: comparisons, self-training, sweeps."""
