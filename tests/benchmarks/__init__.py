"""Benchmarks: `make bench` runs all, `make bench ONLY=name` one; each prints one JSON line."""
