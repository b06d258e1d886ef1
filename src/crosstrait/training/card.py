"""The model card: what a stranger must know before using a model, as Hugging Face reads it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstrait.models.references import REFERENCES
from crosstrait.training.facts import Score, TestScores, mean_score

if TYPE_CHECKING:
    from crosstrait.training.fitted import Fitted

_PACKAGES = ("crosstrait", "torch", "numpy", "safetensors")
_LIMITS = """\
- For samples of the population that it learned from, typed at the same loci. Elsewhere linkage \
and allele frequencies differ: accuracy is lost, and intervals no longer hold their share.
- Predictions are associations. They do not say which locus causes a trait, nor what an edited \
genotype would do.
- For research on breeding and on model organisms. Nothing was tested for decisions about the \
health of people."""


def model_card(fitted: Fitted) -> str:
    """Return ``README.md``: front matter that Hugging Face reads, then the card in words."""
    sections = [
        ("What it predicts", _traits(fitted)),
        ("Data", _data(fitted)),
        ("Scores", _scores(fitted)),
        ("Intervals", _intervals(fitted)),
        ("Intended use and limits", [_LIMITS]),
        ("How to use", _usage(fitted)),
        ("Made with", _made_with(fitted)),
    ]
    kind, traits = fitted.config.type, _count(len(fitted.trait_names), "trait")
    about = REFERENCES[kind].about if kind in REFERENCES else kind
    lines = [
        *_front_matter(fitted),
        "",
        f"# {kind}: {traits} from genotypes",
        "",
        f"Predicts {traits} of a sample from its genotypes at "
        f"{len(fitted.encoder.columns):,} loci: {about}.",
    ]
    for title, content in sections:
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _front_matter(fitted: Fitted) -> Iterator[str]:
    yield from ("---", "# Say under which license others may use this model: license: ...")
    yield from ("library_name: crosstrait", "pipeline_tag: tabular-regression", "tags:")
    yield from ("- biology", "- genomic-prediction", f"- {fitted.config.type}")
    if fitted.scores is not None:
        source = fitted.data.source if fitted.data else "unknown"
        yield from ("model-index:", f"- name: {_yaml(fitted.config.type)}", "  results:")
        yield from ("  - task:", "      type: tabular-regression", "    dataset:")
        yield from (f"      name: {_yaml(source)}", "      type: genotypes-and-traits")
        yield f"      revision: {_yaml(fitted.panel_digest)}"
        yield "    metrics:"
        for name, kind, value in _metrics(fitted.scores, fitted.trait_names):
            yield from (
                f"    - type: {kind}",
                f"      name: {_yaml(name)}",
                f"      value: {value:.4f}",
            )
    yield "---"


def _metrics(scores: TestScores, traits: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    for kind, label in (("r2", "R2"), ("pearson_r", "Pearson r")):
        if (mean := mean_score(getattr(scores, kind))) is not None:
            yield f"Test {label}, mean of {_count(len(traits), 'trait')}", kind, mean
    for trait, value in zip(traits, scores.r2, strict=True):
        if value is not None:
            yield f"Test R2, {trait}", "r2", value


def _traits(fitted: Fitted) -> Iterator[str]:
    yield "In the units of the trait values that it learned from, which their table must tell."
    yield ""
    measured: Sequence[Any] = [""] * len(fitted.trait_names)
    if fitted.data is not None:
        measured = [f"{n:,}" for n in fitted.data.n_measured]
    rows = zip(fitted.trait_names, fitted.scaler.mean, fitted.scaler.sd, measured, strict=True)
    yield from _table(
        ("trait", "training mean", "training SD", "measured samples"),
        ((_cell(name), f"{mean:.4g}", f"{sd:.4g}", str(n)) for name, mean, sd, n in rows),
    )


def _data(fitted: Fitted) -> Iterator[str]:
    encoder, data = fitted.encoder, fitted.data
    if data is not None:
        watched = (
            " (they chose the epoch)" if len(fitted.history) else " (it learned from them too)"
        )
        watched = watched if data.n_validation else ""
        yield f"- Source: {_cell(data.source)}; {data.n_samples:,} samples, {data.n_loci:,} loci."
        yield (
            f"- Split `{data.scheme}`, fold {data.fold}: {data.n_train:,} samples trained, "
            f"{data.n_validation:,} validated{watched}, {data.n_test:,} were kept for the test."
        )
        if data.prune_r is not None:
            yield (
                f"- Loci that correlate more than {data.prune_r:g} with an earlier one were left "
                f"out, as learned on the training samples."
            )
    if fitted.panel_digest:
        yield f"- SHA-256 of the panel: `{fitted.panel_digest}`"
    if fitted.split_digest:
        yield f"- SHA-256 of the split: `{fitted.split_digest}`"
    yield (
        f"- Genotypes are dosages of the second allele in [0, {encoder.ploidy}]. The "
        f"{len(encoder.columns):,} loci (ids, places, alleles) and their training means, which "
        f"fill missing calls, are in `model.safetensors`."
    )


def _scores(fitted: Fitted) -> Iterator[str]:
    scores = fitted.scores
    if scores is None:
        yield "It was not scored on test samples."
        best = fitted.metrics.get("best_val_r2", np.nan)
        if np.isfinite(best):
            yield ""
            yield (
                f"Validation samples, which chose the epoch and so flatter it: R2 {best:.3f}, mean "
                f"over the traits."
            )
        return
    yield (
        f"On {_count(scores.n_samples, 'test sample')} that nothing was learned from, each score "
        f"over the measured cells of its trait. R2 is 1 - SS_res / SS_tot about the mean of these "
        f"cells; RMSE is in trait units."
    )
    yield ""
    columns = (fitted.trait_names, scores.r2, scores.pearson_r, scores.rmse, scores.n_cells)
    rows = [
        (_cell(name), _told(r2), _told(r), "" if rmse is None else f"{rmse:.4g}", f"{n:,}")
        for name, r2, r, rmse, n in zip(*columns, strict=True)
    ]
    means = _told(mean_score(scores.r2)), _told(mean_score(scores.pearson_r))
    total = ("**mean**", *means, "", f"{sum(scores.n_cells):,}")
    yield from _table(("trait", "R2", "Pearson r", "RMSE", "test cells"), [total, *rows])


def _intervals(fitted: Fitted) -> Iterator[str]:
    if fitted.errors is None:
        yield "It has none: no sample was held out that would tell how wrong it is."
        return
    yield (
        "Half widths are quantiles of the errors on samples held out in training (split "
        "conformal); they are to hold the stated share of new measurements of the same population."
    )
    if fitted.scores is not None and fitted.scores.coverage:
        yield ""
        yield from _table(
            ("level", "test cells held, mean of traits"),
            ((f"{level:.0%}", f"{share:.1%}") for level, share in fitted.scores.coverage),
        )


def _usage(fitted: Fitted) -> Iterator[str]:
    level = "" if fitted.errors is None else ", level=0.9"
    option = "" if fitted.errors is None else " --level 0.9"
    yield from (
        "```python",
        "import crosstrait as ct",
        "",
        'model = ct.load_model("path/of/this/folder")',
        f'new = ct.panel.load_genotypes("new.csv", ploidy={fitted.encoder.ploidy})',
        f"table = model.predict_panel(new{level})",
        "```",
        "",
        "```sh",
        f"crosstrait predict path/of/this/folder new.csv --out predicted.csv{option}",
        "```",
        "",
        "`new.csv` is a table of dosages, samples in rows and loci in columns; a saved panel or "
        "any other format that crosstrait reads will do. Loci are matched by id in any order; "
        "swapped alleles are turned round; other alleles, another ploidy or more than a tenth of "
        "the loci missing are refused.",
    )


def _made_with(fitted: Fitted) -> Iterator[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield f"- {packages}, Python {platform.python_version()}; seed {fitted.seed}."
    yield "- All settings are in `config.json`, the epochs in `history.csv`."
    if fitted.config.type in REFERENCES:
        yield f"- To cite for the model: {'; '.join(REFERENCES[fitted.config.type].papers)}."


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _told(value: Score) -> str:
    return "" if value is None else f"{value:.3f}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _cell(text: str) -> str:
    """Return text that Markdown takes for nothing but text, in a table too."""
    plain = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_[]<>#" else c for c in plain)


def _yaml(text: str) -> str:
    """Return a double-quoted YAML string."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
