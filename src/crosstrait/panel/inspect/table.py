"""A panel's summary as a page for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from crosstrait.panel.inspect.genotypes import MAF_EDGES, GenotypeSummary
from crosstrait.panel.inspect.linkage import LinkageSummary
from crosstrait.panel.inspect.structure import StructureSummary
from crosstrait.panel.inspect.traits import JointSummary, TraitSummary

if TYPE_CHECKING:
    from crosstrait.panel.inspect import PanelSummary

_BAR = 24


def render(summary: PanelSummary) -> RenderableType:
    """Return the summary for a ``rich`` console to print."""
    return Group(*_parts(summary))


def _parts(summary: PanelSummary) -> Iterator[RenderableType]:
    yield Rule(Text(summary.source, style="bold"), align="left")
    yield _facts(
        ("samples", f"{summary.n_samples:,}"),
        ("loci", _loci(summary)),
        ("traits", f"{summary.n_traits:,}"),
        ("ploidy", str(summary.ploidy)),
        *([("groups", _groups(summary.groups))] if summary.groups else []),
        *([("own split", _own_split(summary.split))] if summary.split else []),
        ("digest", summary.digest[:16]),
    )
    yield _heading("Genotypes")
    yield _genotypes(summary.genotypes, summary.structure)
    yield _histogram(
        "minor allele frequency",
        [
            (f"{low:g} - {high:g}", int(count), f"{count:,}")
            for low, high, count in zip(
                MAF_EDGES, MAF_EDGES[1:], summary.genotypes.maf_counts, strict=False
            )
        ],
    )
    if summary.linkage is not None:
        yield _heading("Linkage")
        yield _linkage(summary.linkage)
    yield _heading("Traits")
    yield _traits(summary.traits)
    yield _joint(summary.joint, n_samples=summary.n_samples)
    yield _heading("Warnings")
    yield _warnings(summary.warnings)


def _heading(title: str) -> RenderableType:
    return Text(f"\n{title}", style="bold cyan")


def _facts(*facts: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for name, value in facts:
        table.add_row(name, Text(value))
    return table


def _loci(summary: PanelSummary) -> str:
    if not summary.n_contigs:
        return f"{summary.n_loci:,}, on unnamed chromosomes"
    return f"{summary.n_loci:,} on {summary.n_contigs:,} chromosomes"


def _groups(groups: dict[str, int]) -> str:
    sizes = groups.values()
    return f"{len(groups):,}, of {min(sizes):,} to {max(sizes):,} samples"


def _own_split(split: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {part or 'unused'}" for part, count in split.items())


def _genotypes(genotypes: GenotypeSummary, structure: StructureSummary) -> Table:
    first = ", ".join(f"{share:.1%}" for share in structure.variance_share[:3])
    n_duplicates = sum(len(group) for group in genotypes.duplicate_samples)
    facts = [("missing", f"{genotypes.missing_share:.2%}")]
    for name, worst in (
        ("most in samples", genotypes.worst_samples(most=3)),
        ("most in loci", genotypes.worst_loci(most=3)),
    ):
        if worst:
            facts.append((name, ", ".join(f"{id} ({share:.1%})" for id, share in worst)))
    return _facts(
        *facts,
        ("uncertain calls", f"{genotypes.uncertain_share:.2%}"),
        ("monomorphic", f"{genotypes.n_monomorphic:,} loci"),
        ("duplicates", f"{genotypes.n_duplicate_loci:,} loci, {n_duplicates:,} samples"),
        (
            "first components",
            f"{first} of the variance ({structure.n_samples:,} samples, {structure.n_loci:,} loci)",
        ),
    )


def _linkage(linkage: LinkageSummary) -> Group:
    rows = [
        (f"{_bp(low)} - {_bp(high)}", float(r2), f"{r2:.3f}")
        for low, high, r2 in zip(
            linkage.distance_from, linkage.distance_to, linkage.mean_r2, strict=True
        )
    ]
    if not math.isnan(linkage.unlinked_r2):
        rows.append(("other chromosome", linkage.unlinked_r2, f"{linkage.unlinked_r2:.4f}"))
    note = f"r2 stays below 0.5 from {_bp(linkage.reach(0.5))} and below 0.1 from " + _bp(
        linkage.reach(0.1)
    )
    return Group(_histogram("distance", rows, "mean r2"), Text(note, style="dim"))


def _histogram(title: str, rows: list[tuple[str, float, str]], unit: str = "loci") -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title, justify="right")
    table.add_column(unit, justify="right")
    table.add_column("")
    most = max((value for _, value, _ in rows), default=0) or 1
    for name, value, text in rows:
        table.add_row(name, text, Text("█" * round(_BAR * value / most), style="cyan"))
    return table


def _traits(traits: tuple[TraitSummary, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("trait", overflow="fold")
    with_ceiling = any(trait.n_standard_errors for trait in traits)
    for name in ("n", "mean", "sd", "min", "max", "skew", "outliers"):
        table.add_column(name, justify="right", no_wrap=True)
    if with_ceiling:
        table.add_column("ceiling", justify="right", no_wrap=True)
    for trait in traits:
        numbers = (trait.mean, trait.sd, trait.minimum, trait.maximum)
        table.add_row(
            Text(trait.name),
            f"{trait.n_measured:,}",
            *(f"{number:.4g}" for number in numbers),
            f"{trait.skew:.2f}",
            Text(str(len(trait.outliers)), style="yellow") if trait.outliers else "",
            *([_number(trait.noise_ceiling)] if with_ceiling else []),
        )
    return table


def _joint(joint: JointSummary, *, n_samples: int) -> RenderableType:
    n_traits = len(joint.trait_name)
    if n_traits == 1:
        return Text("")
    facts = [("with every trait", f"{joint.n_complete:,} of {n_samples:,} samples")]
    facts += [
        (f"r = {r:+.2f}", f"{one} and {other} ({n:,} samples)")
        for one, other, r, n in joint.extremes()
    ]
    return _facts(*facts)


def _warnings(warnings: tuple[str, ...]) -> RenderableType:
    if not warnings:
        return Text("none", style="green")
    table = Table.grid(padding=(0, 1))
    table.add_column(style="yellow", justify="right")
    table.add_column()
    for number, warning in enumerate(warnings, 1):
        table.add_row(f"{number}.", Text(warning))
    return table


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _bp(distance: float) -> str:
    if math.isinf(distance):
        return "any distance"
    for size, unit in ((1e6, "Mb"), (1e3, "kb")):
        if distance >= size:
            return f"{distance / size:g} {unit}"
    return f"{distance:g} bp"
