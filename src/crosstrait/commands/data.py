"""Commands for data: public sets, formats, panels, simulation."""

from __future__ import annotations

import shlex
from pathlib import Path

from crosstrait.commands.arguments import Changes
from crosstrait.commands.output import err_console, out_console, panel_size, say


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
    out_console().print(table)


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
    with Progress(console=err_console(), transient=True) as progress:
        folder = open_dataset(name, progress=progress)
    say(f"{name} is in {folder}")
    say(f"cite: {entry.citation}, doi {entry.doi}")


def import_(
    source: Path,
    /,
    *,
    out: Path,
    traits: Path | None = None,
    groups: Path | None = None,
    format: str | None = None,
    ploidy: int | None = None,
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
    groups
        A table of families or groups, for splits by group: two columns, the sample's id and its
        group, below a line that names them.
    format
        The format of the files; found out where not given.
    ploidy
        Gene copies a sample carries, for plain tables; 1 where not given.
    """
    from crosstrait.panel.sources import import_source

    panel = import_source(
        source, traits=traits, groups=groups, format=format, ploidy=ploidy, out=out
    )
    say(f"{out}: {panel_size(panel)}")


def inspect(panel: str, /, *, html: Path | None = None) -> None:
    """Show what is in a panel, and what is wrong with it.

    Parameters
    ----------
    panel
        A saved panel, a file or folder of any supported format, or the name of a data set.
    html
        Also write a page with figures, one file that needs no network, such as panel.html.
    """
    from crosstrait.panel.inspect import inspect as summarise
    from crosstrait.panel.inspect import render
    from crosstrait.panel.sources import load_panel

    summary = summarise(load_panel(panel))
    out_console().print(render(summary))
    if html is not None:
        from crosstrait.report.inspection import write_inspection

        command = shlex.join(["crosstrait", "inspect", panel, "--html", str(html)])
        say(f"page: {write_inspection(summary, out=html, command=command)}")


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
    say(f"{out}: {panel_size(panel)}")
