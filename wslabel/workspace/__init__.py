"""Which tables a project names, what each of them lacks, and what they hold; no torch, no Ray."""
