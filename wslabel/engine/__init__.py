"""Run a step over shards or groups on a Ray cluster; the door to Ray Data."""
