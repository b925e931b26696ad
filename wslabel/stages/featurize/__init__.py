"""Featurize: every image fetched and decoded once, for all features that lack it."""
