"""Typed sections of a project file that all rooms share; YAML, paths and fingerprints."""
