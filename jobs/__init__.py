"""What `ray job submit` runs: one file per stage, in the order of the story."""
