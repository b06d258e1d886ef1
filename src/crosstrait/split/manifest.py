"""A split: which samples and cells train, which validate, which test, under a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, listed
from crosstrait.panel.schema import Panel

Cells = tuple[tuple[str, tuple[str, ...]], ...]
"""Cells by sample: (sample id, names of traits)."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Three disjoint sets of sample ids; samples in none of them are not used.

    Single cells of samples that train or validate may be kept from learning too: a trait that is
    to be predicted in samples whose other traits were measured.

    Attributes
    ----------
    train
        Samples that everything is learned from.
    validation
        Samples that early stopping and the choice of the best epoch may look at. Models that
        need neither learn from them as from ``train``.
    test
        Samples that are predicted once, at the end.
    test_cells
        Cells of samples that train or validate which nothing learns from, and which are
        predicted once, at the end.
    hidden
        Further cells that nothing learns from, and which are not predicted: as if they had not
        been measured.
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
    test_cells: Cells = ()
    hidden: Cells = ()
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
        content: dict[str, object] = dict(parts)
        for name in _CELLS:
            cells: Cells = getattr(self, name)
            strange = [sample for sample, _ in cells if seen.get(sample, "test") == "test"]
            if strange:
                raise DataError(
                    f"{name} are cells of samples that train or validate; these do neither: "
                    f"{listed(strange)}"
                )
            if cells:  # splits of whole samples keep the digests that they always had
                content[name] = dict(cells)
        text = json.dumps(content, separators=(",", ":"))
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

    def learnable(self, panel: Panel) -> NDArray[np.bool_]:
        """Return which cells (N, T) of the panel's traits may be learned from.

        True in all cells of the samples that train or validate, but for those that are held out
        or hidden.
        """
        learn = np.zeros(panel["trait_value"].shape, dtype=bool)
        learn[self.rows(panel, "train")] = learn[self.rows(panel, "validation")] = True
        return learn & ~_mask(self.test_cells, panel) & ~_mask(self.hidden, panel)

    def tested(self, panel: Panel) -> NDArray[np.bool_]:
        """Return which cells (N, T) of the panel's traits are predicted at the end."""
        test = _mask(self.test_cells, panel)
        test[self.rows(panel, "test")] = True
        return test

    def without(self, cells: Cells) -> Split:
        """Return the split with those of ``cells`` hidden that are of samples which learn."""
        learn = {*self.train, *self.validation}
        traits: dict[str, dict[str, None]] = {}
        for sample, names in self.hidden + cells:
            if sample in learn:
                traits.setdefault(sample, {}).update(dict.fromkeys(names))
        hidden = tuple((sample, tuple(names)) for sample, names in traits.items())
        return replace(self, hidden=hidden)

    def save(self, path: Path) -> None:
        """Write the manifest as JSON."""
        path.write_text(self.as_json(), encoding="utf-8")

    def as_json(self) -> str:
        """Return the manifest as `save` writes it."""
        content = {
            "scheme": self.scheme,
            "fold": self.fold,
            "pooled": self.pooled,
            "digest": self.digest,
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
            **{name: dict(getattr(self, name)) for name in _CELLS if getattr(self, name)},
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a manifest and check its hash."""
        try:
            content = json.loads(path.read_text())
            split = cls(
                train=tuple(content["train"]),
                validation=tuple(content["validation"]),
                test=tuple(content["test"]),
                **{name: _cells(content.get(name, {})) for name in _CELLS},
                scheme=content["scheme"],
                fold=int(content["fold"]),
                pooled=bool(content["pooled"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is not a split manifest: {error!r}") from None
        if split.digest != content.get("digest", split.digest):
            raise DataError(
                f"{path} says digest {content['digest']} but its ids hash to {split.digest}; "
                f"it was edited by hand: remove the digest line if that is meant"
            )
        return split


_CELLS = ("test_cells", "hidden")


def _cells(traits: Mapping[str, Iterable[str]]) -> Cells:
    return tuple((str(sample), tuple(map(str, names))) for sample, names in traits.items())


def _mask(cells: Cells, panel: Panel) -> NDArray[np.bool_]:
    """Return which cells (N, T) of the panel's traits are among ``cells``."""
    mask = np.zeros(panel["trait_value"].shape, dtype=bool)
    if not cells:
        return mask
    row = {sample: i for i, sample in enumerate(panel["sample_id"].values)}
    column = {trait: j for j, trait in enumerate(panel["trait_name"].values)}
    absent = [
        f"{sample} {trait}"
        for sample, traits in cells
        for trait in traits
        if sample not in row or trait not in column
    ]
    if absent:
        raise DataError(f"{len(absent)} cells of the split are not in the panel: {listed(absent)}")
    for sample, traits in cells:
        mask[row[sample], [column[trait] for trait in traits]] = True
    return mask


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
