"""Tables of shards, committed by their files; the door to disk and S3."""
