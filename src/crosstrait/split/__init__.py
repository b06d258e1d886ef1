"""Splits of samples, their manifests, and scaling learned on training samples."""

from crosstrait.split.manifest import Split, from_ids

__all__ = ["Split", "from_ids"]
