"""The command line.

It is made with cyclopts: the commands are plain typed functions, and their types and numpydoc
docstrings are the command line and its help. tyro does the same from types; cyclopts has
subcommands as functions rather than as a union of types, offers the nearest spelling of a
misspelt option, and leaves errors to the caller, so that a usage error and an error in the data
end alike: one line, exit code 2.

Every command imports what it needs itself: ``crosstrait --help`` loads no numerical library.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from crosstrait import __version__
from crosstrait.errors import CrosstraitError
from crosstrait.experiments.interrupt import Interrupted, stopping_on_signals

if TYPE_CHECKING:
    from rich.console import Console

    from crosstrait.experiments.driver import Result
    from crosstrait.panel.schema import Panel

app = App(
    name="crosstrait",
    help="From genotype files and many traits to an honest prediction of every trait.",
    version=__version__,
    help_format="plaintext",
)

Changes = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", consume_multiple=False, show_default=False),
]

Traits = Annotated[
    tuple[str, ...], Parameter(negative="", consume_multiple=False, show_default=False)
]

_USER_ERROR = 2
_SOME_RUNS_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Carry out one command and return its exit code.

    0: done. 1: done, but some runs failed. 2: something in the command, the files or the disk is
    not as it must be; one line says what. 130 and 143: stopped by Ctrl-C and by SIGTERM.
    """
    try:
        with warnings.catch_warnings(), stopping_on_signals():
            warnings.filterwarnings("always", category=UserWarning, module="crosstrait")
            warnings.showwarning = _show_warning
            code = app(
                arguments, exit_on_error=False, print_error=False, result_action="return_value"
            )
            return int(code or 0)
    except CycloptsError as error:
        return _fail(f"{error}; see crosstrait --help")
    except CrosstraitError as error:
        return _fail(str(error))
    except BrokenPipeError:
        return _USER_ERROR
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError as error:
        return _fail(f"there is not enough memory: {error}")
    except (Interrupted, KeyboardInterrupt) as stop:
        print(
            "crosstrait: stopped; what is finished stays, and the same command goes on from there",
            file=sys.stderr,
        )
        return getattr(stop, "exit_code", 130)


@app.command
def demo(*, out: Path = Path("demo"), workers: int | None = None) -> int:
    """Train all models on a simulated cross; write a leaderboard and a report.

    Parameters
    ----------
    out
        The folder to write to.
    workers
        Processes that train at once; as many as cores, memory and runs allow where not given.
    """
    from crosstrait.experiments.demo import prepare_demo

    return _run(prepare_demo(out), out=out, workers=workers)


@app.command
def datasets() -> None:
    """List the public data sets that can be named instead of a path."""
    from rich.table import Table

    from crosstrait.panel.catalogue import CATALOGUE

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "samples", "loci", "traits", "what it is, citation and licence"):
        table.add_column(
            heading, justify="right" if heading in ("samples", "loci", "traits") else "left"
        )
    for entry in CATALOGUE:
        table.add_row(
            entry.name,
            f"{entry.n_samples:,}",
            f"{entry.n_loci:,}",
            str(entry.n_traits),
            f"{entry.title}\n[dim]{entry.citation}, doi {entry.doi}\nlicence: {entry.licence}[/]",
        )
    _out().print(table)


@app.command
def fetch(name: str, /) -> None:
    """Fetch a public data set, checked against its published checksums.

    Parameters
    ----------
    name
        As `crosstrait datasets` lists it.
    """
    from rich.progress import Progress

    from crosstrait.panel.registry import dataset, open_dataset

    entry = dataset(name)
    with Progress(console=_err(), transient=True) as progress:
        folder = open_dataset(name, progress=progress)
    _say(f"{name} is in {folder}")
    _say(f"cite: {entry.citation}, doi {entry.doi}")


@app.command(name="import")
def import_(
    source: Path,
    /,
    *,
    out: Path,
    traits: Path | None = None,
    format: str | None = None,
    ploidy: int = 1,
) -> None:
    """Read genotypes and traits of any supported format and save them as one panel.

    Parameters
    ----------
    source
        A genotype file, or a folder with genotypes and traits.
    out
        The panel to write, such as cross.zarr.
    traits
        The table of traits, where it is not beside the genotypes.
    format
        The format of the files; found out where not given.
    ploidy
        Gene copies a sample carries, for plain tables.
    """
    from crosstrait.panel.sources import import_source

    panel = import_source(source, traits=traits, format=format, ploidy=ploidy, out=out)
    _say(f"{out}: {_sizes(panel)}")


@app.command
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
    _say(f"{out}: {imported.kind}, {imported.n_loci:,} loci, {traits} in {units}")
    if imported.n_cells:
        _say(f"scored on {imported.n_cells:,} test cells: crosstrait report {out}")


@app.command
def inspect(panel: str, /) -> None:
    """Show what is in a panel, and what is wrong with it.

    Parameters
    ----------
    panel
        A saved panel, a file or folder of any supported format, or the name of a data set.
    """
    from crosstrait.panel.inspect import inspect as summarise
    from crosstrait.panel.inspect import render
    from crosstrait.panel.sources import load_panel

    _out().print(render(summarise(load_panel(panel))))


@app.command
def simulate(file: Path | None = None, /, *, out: Path, set_: Changes = ()) -> None:
    """Simulate a cross with known effects; save its panel and, beside it, the truth.

    Parameters
    ----------
    file
        A TOML file of settings; the cross of `crosstrait demo` where not given.
    out
        The panel to write, such as cross.zarr; the truth goes to cross.truth.safetensors.
    set_
        A setting, as in n_samples=500; may be repeated.
    """
    from crosstrait.experiments.demo import simulate_to

    panel = simulate_to(out, file=file, changes=set_)
    _say(f"{out}: {_sizes(panel)}")


@app.command
def run(
    file: Path,
    /,
    *,
    out: Path | None = None,
    executor: Literal["local", "ray", "slurm", "modal"] = "local",
    workers: int | None = None,
    tune: Annotated[bool, Parameter(negative="")] = False,
    set_: Changes = (),
) -> int:
    """Train every model of an experiment file that is not trained yet, and score them all.

    Parameters
    ----------
    file
        The experiment, a TOML file.
    out
        The folder to write to; results/NAME for NAME.toml where not given.
    executor
        What trains.
    workers
        Processes that train at once; as many as cores, memory and runs allow where not given.
    tune
        Search the settings of every model first, on learning samples, with equal budgets: those of
        the file's [tune] table, or 20 trials a model and split where it has none.
    set_
        A setting of the file, as in train.replicates=1 or model.ridge.name=blup; may be repeated.
    """
    from crosstrait.experiments.file import read_experiment

    experiment = read_experiment(file, changes=set_, tune=tune)
    return _run(
        experiment, out=out or Path("results") / file.stem, executor=executor, workers=workers
    )


@app.command
def runs(
    folder: Path,
    /,
    *,
    explain: Path | None = None,
    prune: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    set_: Changes = (),
) -> None:
    """List the finished runs of an experiment; explain what is missing; prune what is not used.

    Parameters
    ----------
    folder
        The folder of the experiment.
    explain
        An experiment file: say of each of its runs that is not finished in the folder which
        setting or data sets it apart from the nearest run that is.
    prune
        Show damaged runs, runs that the folder's last experiment does not consist of, and what
        unfinished ones left.
    yes
        With --prune, delete them.
    set_
        A setting of the experiment file; may be repeated.
    """
    from crosstrait.experiments import runs_command

    if explain is not None:
        lines = runs_command.explained(folder, file=explain, changes=set_)
    elif prune:
        lines = runs_command.pruned(folder, delete=yes)
    else:
        lines = runs_command.listing(folder)
    for line in lines:
        _say(line)


@app.command
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
    for note in prediction.notes:
        print(f"crosstrait: note: {note}", file=sys.stderr)
    samples, columns = prediction.table.shape
    n_traits = (columns - 1) // (1 if level is None else 3)
    many = f", the mean of {prediction.n_runs} runs" if prediction.n_runs > 1 else ""
    _say(f"{out}: {samples:,} samples, {n_traits} traits{many}")


@app.command
def report(folder: Path, /) -> None:
    """Write the report of an experiment again from its tables, or that of a single run.

    Parameters
    ----------
    folder
        The folder of the experiment, or of one run.
    """
    from crosstrait.report.page import write_report

    page = write_report(folder)
    _say(f"report: {page}")


def _run(experiment: Any, *, out: Path, executor: str = "local", workers: int | None = None) -> int:
    from crosstrait.experiments.current import mark_current
    from crosstrait.experiments.driver import run_experiment
    from crosstrait.report.page import write_report

    result = run_experiment(experiment, out=out, executor=executor, workers=workers, console=_err())
    if result.current:
        return _conclude(result, out / "report.html")
    page = write_report(out)
    if result.digest is not None:
        mark_current(out, digest=result.digest)
    return _conclude(result, page)


def _conclude(result: Result, page: Path) -> int:
    from crosstrait.report.table import leaderboard_table

    _out().print(leaderboard_table(result.folder))
    trained = f"{result.n_trained} trained, {result.n_cached} found finished"
    _say(f"runs: {trained}, {len(result.failures)} failed")
    for note in result.tuning:
        _say(f"tuning: {note}")
    for failure in result.failures:
        where = f" (log: {failure.log})" if failure.log else ""
        print(f"crosstrait: failed: {failure.run}: {failure.message}{where}", file=sys.stderr)
    _say(f"report: {page}")
    return _SOME_RUNS_FAILED if result.failures else 0


def _sizes(panel: Panel) -> str:
    sizes = panel.sizes
    return f"{sizes['samples']:,} samples, {sizes['variants']:,} loci, {sizes['traits']} traits"


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(message: str) -> int:
    print(f"crosstrait: {' '.join(message.split())}", file=sys.stderr)
    return _USER_ERROR


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"crosstrait: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _out() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)  # files are not 80 columns wide


def _err() -> Console:
    from rich.console import Console

    return Console(stderr=True)


if __name__ == "__main__":
    main()
