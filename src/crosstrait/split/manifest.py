"""A split: which samples train, which validate, which test, under a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, listed
from crosstrait.panel.schema import Panel


@dataclass(frozen=True, kw_only=True)
class Split:
    """Three disjoint sets of sample ids; samples in none of them are not used.

    Attributes
    ----------
    train
        Samples that everything is learned from.
    validation
        Samples that early stopping and the choice of the best epoch may look at. Models that
        need neither learn from them as from ``train``.
    test
        Samples that are predicted once, at the end.
    scheme
        How the split was drawn, such as ``random`` or ``kfold``.
    fold
        Which of the scheme's splits this is, from 0.
    pooled
        Whether the folds of this scheme partition the samples, so that their predictions are
        scored together (k-fold) and not as repeats.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    scheme: str = "ids"
    fold: int = 0
    pooled: bool = False
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.train) < 2:
            raise DataError(f"a split needs at least 2 training samples; got {len(self.train)}")
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        seen: dict[str, str] = {}
        for part, ids in parts.items():
            for sample in ids:
                if sample in seen:
                    raise DataError(
                        f"the parts of a split must be disjoint; sample {sample!r} is in "
                        f"{seen[sample]} and in {part}"
                    )
                seen[sample] = part
        text = json.dumps(parts, separators=(",", ":"))
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest())

    def rows(self, panel: Panel, part: str) -> NDArray[np.intp]:
        """Return the row numbers in ``panel`` of ``part`` (train, validation or test)."""
        place = {sample: i for i, sample in enumerate(panel["sample_id"].values)}
        ids: tuple[str, ...] = getattr(self, part)
        absent = [sample for sample in ids if sample not in place]
        if absent:
            raise DataError(
                f"{len(absent)} {part} samples of the split are not in the panel: {listed(absent)}"
            )
        return np.fromiter((place[sample] for sample in ids), dtype=np.intp, count=len(ids))

    def save(self, path: Path) -> None:
        """Write the manifest as JSON."""
        content = {
            "scheme": self.scheme,
            "fold": self.fold,
            "pooled": self.pooled,
            "digest": self.digest,
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        path.write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a manifest and check its hash."""
        try:
            content = json.loads(path.read_text())
            split = cls(
                train=tuple(content["train"]),
                validation=tuple(content["validation"]),
                test=tuple(content["test"]),
                scheme=content["scheme"],
                fold=int(content["fold"]),
                pooled=bool(content["pooled"]),
            )
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is not a split manifest: {error!r}") from None
        if split.digest != content.get("digest", split.digest):
            raise DataError(
                f"{path} says digest {content['digest']} but its ids hash to {split.digest}; "
                f"it was edited by hand: remove the digest line if that is meant"
            )
        return split


def from_ids(
    *, train: Iterable[str], validation: Iterable[str] = (), test: Iterable[str] = ()
) -> Split:
    """Make a split from sample ids.

    Raises
    ------
    DataError
        If a sample is in two parts or fewer than two samples train.
    """
    return Split(
        train=tuple(map(str, train)),
        validation=tuple(map(str, validation)),
        test=tuple(map(str, test)),
    )
