"""The page of a finished run: what is counted for it over all groups, and how it is laid out."""
