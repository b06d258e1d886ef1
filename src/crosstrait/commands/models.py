"""Commands for trained models: predict with one, and take in a published one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crosstrait.commands.arguments import Changes
from crosstrait.commands.output import note, say

Traits = Annotated[
    tuple[str, ...], Parameter(negative="", consume_multiple=False, show_default=False)
]


def predict(
    run: Path,
    genotypes: str,
    /,
    *,
    out: Path,
    model: str | None = None,
    level: float | None = None,
    format: str | None = None,
) -> None:
    """Predict the traits of new genotypes, whose loci are matched by id.

    Parameters
    ----------
    run
        The folder of a run, or of an experiment.
    genotypes
        A genotype file, a saved panel or the name of a data set.
    out
        The CSV file to write: sample, then a column a trait, in trait units.
    model
        Which model of an experiment; the predictions of its runs are averaged.
    level
        Also write, for each trait, the ends of intervals that hold this share of new
        measurements, as 0.95.
    format
        The format of the genotypes; found out where not given.
    """
    from crosstrait.experiments.prediction import predict as predict_traits
    from crosstrait.experiments.storage import write_text

    prediction = predict_traits(run, genotypes=genotypes, model=model, level=level, format=format)
    write_text(out, prediction.table.to_csv(index=False))
    for text in prediction.notes:
        note(f"note: {text}")
    samples, columns = prediction.table.shape
    n_traits = (columns - 1) // (1 if level is None else 3)
    many = f", the mean of {prediction.n_runs} runs" if prediction.n_runs > 1 else ""
    say(f"{out}: {samples:,} samples, {n_traits} traits{many}")


def import_checkpoint(
    file: Path,
    /,
    *,
    out: Path,
    panel: str | None = None,
    prune_r: float | None = None,
    trait: Traits = (),
    set_: Changes = (),
) -> None:
    """Make a run of a published model's checkpoint, for predict and report.

    No code of the file runs; a file that asks for more than weights and settings is refused.

    Parameters
    ----------
    file
        A state dict of rijal, rijal_multienv, canonical or transformer: .ckpt, .pt, .pth, .npz
        or .safetensors.
    out
        The run to write, a folder that does not exist yet.
    panel
        What the model was trained on: its loci, in their order, are those of the checkpoint. With
        it predictions are in trait units, and the run is scored on the panel's published test
        samples; without, they are in standard deviations, of loci called locus_0, locus_1, ...
    prune_r
        Prune the panel's linked loci first, as published (0.94).
    trait
        The names of the predicted traits, in the checkpoint's order, where the file does not tell
        them or the panel has others; may be repeated.
    set_
        A model setting that the weights do not tell, as in n_heads=8; may be repeated.
    """
    from crosstrait.experiments.changes import apply_changes
    from crosstrait.experiments.imported import import_run
    from crosstrait.panel.sources import load_panel

    imported = import_run(
        file,
        out=out,
        panel=None if panel is None else load_panel(panel),
        prune_r=prune_r,
        traits=trait,
        settings=apply_changes({}, changes=set_),
    )
    units = "trait units" if imported.in_trait_units else "standard deviations"
    traits = "1 trait" if len(imported.trait_names) == 1 else f"{len(imported.trait_names)} traits"
    say(f"{out}: {imported.kind}, {imported.n_loci:,} loci, {traits} in {units}")
    if imported.n_cells:
        say(f"scored on {imported.n_cells:,} test cells: crosstrait report {out}")
