"""The settings of an experiment as the page lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MODELS = "models"


@dataclass(frozen=True, kw_only=True)
class SettingsPart:
    """The settings of one model, or those of all.

    Attributes
    ----------
    heading
        The model, or what the others are.
    lines
        ("split.seed", "0"), as ``--set`` would name them within the part.
    """

    heading: str
    lines: tuple[tuple[str, str], ...]

    @property
    def n_lines(self) -> int:
        """How many settings there are."""
        return len(self.lines)


def settings_parts(settings: Mapping[str, Any]) -> list[SettingsPart]:
    """Return the settings of the experiment, then those of each model."""
    shared = {name: value for name, value in settings.items() if name != _MODELS}
    models = settings.get(_MODELS, [])
    parts = [SettingsPart(heading="Experiment", lines=tuple(_flat(shared)))]
    for k, model in enumerate(models):
        own = {name: value for name, value in model.items() if name != "label"}
        label = str(model.get("label", f"model {k + 1}"))
        parts.append(SettingsPart(heading=label, lines=tuple(_flat(own))))
    return [part for part in parts if part.lines]


def _flat(settings: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(settings, Mapping):
        return [
            line
            for name, value in settings.items()
            for line in _flat(value, f"{prefix}.{name}" if prefix else str(name))
        ]
    if isinstance(settings, list) and any(isinstance(value, Mapping) for value in settings):
        return [line for k, value in enumerate(settings) for line in _flat(value, f"{prefix}[{k}]")]
    if isinstance(settings, list):
        return [(prefix, ", ".join(str(value) for value in settings))]
    return [] if settings is None else [(prefix, str(settings))]
