"""Read inputs and trained networks, write predictions; of the project's images or of others."""
