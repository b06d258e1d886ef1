"""The ``[split]`` table of an experiment file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from crosstrait.errors import listed
from crosstrait.panel.schema import Panel
from crosstrait.settings import Settings
from crosstrait.split import schemes
from crosstrait.split.cell_splits import cells, hide
from crosstrait.split.manifest import Split

# scheme -> the options it uses and their defaults
_OPTIONS: dict[str, dict[str, Any]] = {
    "random": {"seed": 0, "test": 0.2, "validation": 0.1, "repeats": 1, "hide": 0.0},
    "kfold": {"seed": 0, "folds": 5, "validation": 0.1, "hide": 0.0},
    "group": {"seed": 0, "folds": 5, "validation": 0.1, "hide": 0.0},
    "cells": {"seed": 0, "test": 0.2, "validation": 0.1, "repeats": 1, "hide": 0.0},
    "published": {},
    "file": {"path": None},
}


class SplitConfig(Settings):
    """The ``[split]`` table of an experiment file.

    An option that the scheme does not use is refused; in a parsed configuration it is None.

    Attributes
    ----------
    scheme
        ``random``, ``kfold``, ``group``, ``published`` or ``file``: the functions
        of ``split.schemes`` (``kfold`` is ``k_fold``); ``cells``: that of ``split.cell_splits``.
    seed
        Of ``random``, ``kfold``, ``group`` and ``cells``; default 0.
    test
        Share of all samples that ``random`` tests, and of all measured cells that ``cells``
        does; default 0.2.
    validation
        Share of all samples that validates, of the schemes with a seed; default 0.1.
    folds
        Number of folds of ``kfold`` and ``group``; default 5.
    repeats
        Number of ``random`` or ``cells`` splits, with the seeds ``seed``, ``seed + 1``, ...;
        default 1.
    hide
        Share of the measured cells of training and validation samples that is hidden, as if it
        were missing, to see what missing traits cost; of the schemes with a seed; default 0.
    path
        The manifest that ``file`` reads.
    """

    scheme: Literal["random", "kfold", "group", "cells", "published", "file"] = "random"
    seed: int | None = Field(default=None, ge=0)
    test: float | None = Field(default=None, gt=0, lt=1)
    validation: float | None = Field(default=None, ge=0, lt=1)
    folds: int | None = Field(default=None, ge=2)
    repeats: int | None = Field(default=None, ge=1)
    hide: float | None = Field(default=None, ge=0, lt=1)
    path: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        scheme = values.get("scheme", "random")
        defaults = _OPTIONS.get(scheme, {}) if isinstance(scheme, str) else {}
        given = {name: value for name, value in values.items() if value is not None}
        return {**defaults, **given}

    @model_validator(mode="after")
    def _only_used_options(self) -> Self:
        uses = _OPTIONS[self.scheme]
        for name in type(self).model_fields:
            if name != "scheme" and name not in uses and getattr(self, name) is not None:
                users = [scheme for scheme, options in _OPTIONS.items() if name in options]
                raise ValueError(
                    f"{name} = {getattr(self, name)!r} has no effect with scheme = "
                    f"{self.scheme!r}, which uses {listed(uses) or 'no option'}; remove it or "
                    f"use scheme {' or '.join(map(repr, users))}"
                )
        if self.scheme == "file" and self.path is None:
            raise ValueError("scheme = 'file' needs path, the manifest to read")
        return self


def draw(config: SplitConfig, panel: Panel) -> list[Split]:
    """Return the splits that ``config`` asks for; one training a model is done on each.

    Raises
    ------
    DataError, SettingsError, StorageError
        As the function of the scheme.
    """
    options = {name: getattr(config, name) for name in _OPTIONS[config.scheme]}
    if hidden := options.pop("hide", None):
        shown = draw(config.model_copy(update={"hide": 0.0}), panel)
        return [
            hide(split, panel, share=hidden, seed=options["seed"] + split.fold) for split in shown
        ]
    if config.scheme in ("random", "cells"):
        seed, repeats = options.pop("seed"), options.pop("repeats")
        scheme = schemes.random if config.scheme == "random" else cells
        return [
            replace(scheme(panel, seed=seed + repeat, **options), fold=repeat)
            for repeat in range(repeats)
        ]
    if config.scheme == "kfold":
        return schemes.k_fold(panel, **options)
    if config.scheme == "group":
        return schemes.group(panel, **options)
    if config.scheme == "published":
        return [schemes.published(panel)]
    split = schemes.from_file(options["path"])
    split.learnable(panel), split.tested(panel)  # its samples and traits are the panel's
    return [split]
