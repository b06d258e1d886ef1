"""Names for files that are being written."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def beside(path: Path) -> Path:
    """Return a hidden name beside ``path``, to write there and rename.

    No other process has it, of this machine or of another that shares the disk.
    """
    return path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}")
