"""Fitting a model to a panel and a split."""
