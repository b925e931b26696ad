"""Read probabilities, say which images to ask people about first."""
