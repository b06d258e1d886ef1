"""Scores on identical cells, their uncertainty, and paired comparisons."""
