"""Experiment files, run keys, the cache of runs and the engines."""
