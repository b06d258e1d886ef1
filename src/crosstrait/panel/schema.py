"""What a panel is: one validated, read-only dataset in sgkit's vocabulary.

The names follow sgkit (https://sgkit-dev.github.io/sgkit), so that a panel opens there:
dimensions ``samples``, ``variants``, ``alleles`` and, ours, ``traits``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import DataError, listed
from crosstrait.genotypes.table import Genotypes, StringArray

Panel = xr.Dataset

SCHEMA_VERSION = 1

# name -> (dimensions, needed)
VARIABLES: dict[str, tuple[tuple[str, ...], bool]] = {
    "call_dosage": (("samples", "variants"), True),
    "variant_id": (("variants",), True),
    "variant_contig": (("variants",), True),
    "variant_position": (("variants",), True),
    "variant_allele": (("variants", "alleles"), True),
    "variant_cm": (("variants",), False),
    "sample_id": (("samples",), True),
    "trait_name": (("traits",), True),
    "trait_value": (("samples", "traits"), True),
    "trait_se": (("samples", "traits"), False),
    "sample_group": (("samples",), False),
    "sample_split": (("samples",), False),
}

_NAMES = (
    "variant_id",
    "variant_contig",
    "sample_id",
    "trait_name",
    "sample_group",
    "sample_split",
)
_NO_TEXT = ("None", "nan", "NaT", "<NA>")

_CHUNK_CELLS = 1 << 24


def check_panel(value: object) -> None:
    """Check that a panel is what was given where one is needed.

    Raises
    ------
    DataError
        If it is something else, such as the path of one.
    """
    if isinstance(value, xr.Dataset):
        return
    what = repr(str(value)) if isinstance(value, str | Path) else f"a {type(value).__name__}"
    raise DataError(
        f"a panel is needed, got {what}; ct.load_panel reads one from a path or the name of a "
        f"data set, ct.panel.from_arrays makes one of arrays"
    )


def from_arrays(
    dosage: ArrayLike,
    *,
    trait_value: ArrayLike,
    trait_names: Sequence[str],
    ploidy: int = 1,
    sample_id: Sequence[str] | StringArray | None = None,
    variant_id: Sequence[str] | StringArray | None = None,
    variant_contig: Sequence[str] | StringArray | None = None,
    variant_position: ArrayLike | None = None,
    variant_allele: ArrayLike | None = None,
    variant_cm: ArrayLike | None = None,
    trait_se: ArrayLike | None = None,
    sample_group: Sequence[str] | StringArray | None = None,
    sample_split: Sequence[str] | StringArray | None = None,
    source: str = "arrays",
) -> Panel:
    """Make a panel of arrays whose rows already describe the same samples.

    Parameters
    ----------
    dosage
        (N, L) copies of the second allele, in [0, ploidy]; NaN is missing.
        float16 and float32 are kept as they are, everything else becomes float32.
    trait_value
        (N, T) phenotypes in the traits' own units; NaN is missing.
    trait_names
        T unique names.
    ploidy
        Gene copies a sample carries.
    sample_id, variant_id
        Unique names; made up (``sample_0``, ``locus_0``, ...) where not given.
    variant_contig, variant_position, variant_allele
        (L,) chromosome, (L,) position in base pairs, (L, 2) alleles (counted as 0, counted as 1).
    variant_cm
        (L,) position on the linkage map of the chromosome, in centimorgans; NaN is unknown.
    trait_se
        (N, T) standard errors of ``trait_value``, in the same units.
    sample_group
        (N,) family or group of each sample, which ``split.group`` keeps together; None and NaN
        are no group, which that scheme refuses.
    sample_split
        (N,) ``train``, ``validation`` or ``test`` where the source brings its own split.
    source
        What the arrays came from, kept as provenance.

    Returns
    -------
    xarray.Dataset
        The validated, read-only panel.

    Raises
    ------
    DataError
        If any rule of the panel is broken; the message names the rule, the value and the place.

    Examples
    --------
    >>> panel = from_arrays([[0, 1], [1, 1], [0, 0]], trait_value=[[1.0], [2.0], [1.5]],
    ...                     trait_names=["height"])
    >>> dict(panel.sizes)["samples"], dict(panel.sizes)["variants"]
    (3, 2)
    """
    calls = np.asarray(dosage)
    if calls.dtype not in (np.float16, np.float32):
        calls = calls.astype(np.float32)
    values = np.asarray(trait_value, dtype=np.float64)
    if calls.ndim != 2:
        raise DataError(f"dosage must be (samples, loci); got shape {calls.shape}")
    n_samples, n_loci = calls.shape
    names = np.asarray([str(name) for name in trait_names], dtype=np.str_)
    if values.ndim != 2 or values.shape != (n_samples, len(names)):
        raise DataError(
            f"trait_value must be (samples, traits) = ({n_samples}, {len(names)}) to go with "
            f"dosage {calls.shape} and {len(names)} trait_names; got shape {values.shape}"
        )
    if trait_se is not None and np.shape(trait_se) != values.shape:
        raise DataError(f"trait_se has shape {np.shape(trait_se)}, trait_value {values.shape}")
    coordinates: dict[str, Any] = {
        "sample_id": _strings(sample_id, n_samples, "sample_id", made_up="sample_{}"),
        "variant_id": _strings(variant_id, n_loci, "variant_id", made_up="locus_{}"),
        "variant_contig": _strings(variant_contig, n_loci, "variant_contig", made_up=""),
        "variant_position": _positions(variant_position, n_loci),
        "variant_allele": _alleles(variant_allele, n_loci),
        "trait_name": names,
    }
    data: dict[str, Any] = {"call_dosage": calls, "trait_value": values}
    if variant_cm is not None:
        data["variant_cm"] = np.asarray(variant_cm, dtype=np.float64)
        if data["variant_cm"].shape != (n_loci,):
            raise DataError(f"variant_cm has {data['variant_cm'].size} entries for {n_loci} loci")
    if trait_se is not None:
        data["trait_se"] = np.asarray(trait_se, dtype=np.float64)
    if sample_group is not None:
        data["sample_group"] = _strings(sample_group, n_samples, "sample_group", made_up="")
    if sample_split is not None:
        data["sample_split"] = _strings(sample_split, n_samples, "sample_split", made_up="")
    variables = {
        name: (VARIABLES[name][0], array) for name, array in {**data, **coordinates}.items()
    }
    panel = xr.Dataset(
        variables,
        attrs={"ploidy": int(ploidy), "source": source, "schema_version": SCHEMA_VERSION},
    )
    return seal(panel)


def from_genotypes(
    genotypes: Genotypes, *, trait_value: ArrayLike, trait_names: Sequence[str], **optional: Any
) -> Panel:
    """Make a panel of read genotypes and trait rows already in the same sample order."""
    return from_arrays(
        genotypes.dosage,
        trait_value=trait_value,
        trait_names=trait_names,
        ploidy=genotypes.ploidy,
        sample_id=genotypes.sample_id,
        variant_id=genotypes.variant_id,
        variant_contig=genotypes.variant_contig,
        variant_position=genotypes.variant_position,
        variant_allele=genotypes.variant_allele,
        source=genotypes.source,
        **optional,
    )


def genotypes_of(panel: Panel, *, source: str | None = None) -> Genotypes:
    """Return the genotypes of a panel, called ``source`` in messages, without its traits."""
    return Genotypes(
        dosage=panel["call_dosage"].values,
        sample_id=panel["sample_id"].values,
        variant_id=panel["variant_id"].values,
        variant_contig=panel["variant_contig"].values,
        variant_position=panel["variant_position"].values,
        variant_allele=panel["variant_allele"].values,
        ploidy=int(panel.attrs["ploidy"]),
        source=str(panel.attrs["source"]) if source is None else source,
    )


def seal(panel: Panel) -> Panel:
    """Validate ``panel``, stamp its digest and make its arrays read-only."""
    validate(panel)
    panel = panel.assign_attrs(digest=digest(panel))
    for variable in panel.variables.values():
        values = variable.values
        if values.flags.owndata or values.base is not None:
            values.flags.writeable = False
    return panel


def resealed(panel: Panel) -> Panel:
    """Return ``panel`` sealed anew, for one that was changed after it was made.

    Names and groups that came as Python objects, as pandas gives them, become strings.

    Raises
    ------
    DataError
        At the first rule of a panel that is broken.
    """
    check_panel(panel)
    texts = {
        name: (panel[name].dims, _as_text(panel[name].values))
        for name in _NAMES
        if name in panel and panel[name].ndim == 1 and panel[name].dtype.kind != "U"
    }
    return seal(panel.assign(texts))


def validate(panel: Panel) -> None:
    """Check every rule of a panel.

    Raises
    ------
    DataError
        At the first broken rule.
    """
    for name, (dims, needed) in VARIABLES.items():
        if name not in panel:
            if needed:
                raise DataError(f"a panel needs the variable {name!r} with dimensions {dims}")
        elif panel[name].dims != dims:
            raise DataError(f"{name} must have dimensions {dims}; got {panel[name].dims}")
    ploidy = panel.attrs.get("ploidy")
    if not isinstance(ploidy, int | np.integer) or ploidy < 1:
        raise DataError(f"the panel's ploidy must be a whole number >= 1; got {ploidy!r}")
    sizes = panel.sizes
    if sizes["samples"] < 2:
        raise DataError(f"a panel needs at least 2 samples to learn from; got {sizes['samples']}")
    if sizes["variants"] < 1:
        raise DataError("a panel needs at least 1 locus; got 0")
    if sizes["traits"] < 1:
        raise DataError("a panel needs at least 1 trait; got 0")
    for name in ("sample_id", "variant_id", "trait_name"):
        _check_unique(panel[name].values, name)
    _check_calls(panel, int(ploidy))
    _check_traits(panel)
    if "sample_split" in panel:
        odd = sorted(set(panel["sample_split"].values) - {"train", "validation", "test", ""})
        if odd:
            raise DataError(
                f"sample_split may be train, validation, test or empty; got {listed(odd)}"
            )


def digest(panel: Panel) -> str:
    """Return the SHA-256 of everything in ``panel`` that can change a result.

    Equal contents give equal digests whatever the storage: the float width of the dosages, the
    chunks on disk and the ``source`` text do not count.
    """
    total = hashlib.sha256(f"crosstrait panel {SCHEMA_VERSION} ploidy {panel.ploidy}".encode())
    for name in sorted(VARIABLES):
        if name not in panel:
            continue
        values = panel[name].values
        total.update(f"|{name}{values.shape}|".encode())
        if values.dtype.kind in "UO":
            total.update("\x1f".join(str(value) for value in values.ravel()).encode())
        elif name == "call_dosage":
            for _, rows in row_blocks(values):
                total.update(_canonical(rows.astype(np.float32)))
        else:
            kind = np.int64 if values.dtype.kind in "iu" else np.float64
            total.update(_canonical(values.astype(kind)))
    return total.hexdigest()


def row_blocks(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (first row, rows) so that no temporary copy grows with the panel."""
    step = max(1, _CHUNK_CELLS // max(1, values.shape[1]))
    for start in range(0, values.shape[0], step):
        yield start, values[start : start + step]


def _canonical(values: NDArray[Any]) -> bytes:
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values + 0.0)
    return np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()


def _strings(given: Any, length: int, name: str, *, made_up: str) -> StringArray:
    if given is None:
        return np.asarray([made_up.format(i) for i in range(length)], dtype=np.str_)
    values = _as_text(given)
    if values.shape != (length,):
        raise DataError(f"{name} has {len(values)} entries for {length} rows of the panel")
    return values


def _as_text(given: Any) -> StringArray:
    """Return strings; what pandas has for a missing one (None, NaN, NA) becomes empty."""
    return np.asarray(
        [str(v) if isinstance(v, str) or str(v) not in _NO_TEXT else "" for v in given],
        dtype=np.str_,
    )


def _positions(given: ArrayLike | None, n_loci: int) -> NDArray[np.int64]:
    values = np.full(n_loci, -1) if given is None else np.asarray(given)
    if values.shape != (n_loci,):
        raise DataError(f"variant_position has {values.size} entries for {n_loci} loci")
    return values.astype(np.int64)


def _alleles(given: ArrayLike | None, n_loci: int) -> StringArray:
    values = np.full((n_loci, 2), "") if given is None else np.asarray(given, dtype=np.str_)
    if values.shape != (n_loci, 2):
        raise DataError(f"variant_allele must be (loci, 2) = ({n_loci}, 2); got {values.shape}")
    return values.astype(np.str_)


def _check_unique(values: StringArray, name: str) -> None:
    unique, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        twice = unique[counts > 1]
        raise DataError(
            f"{name} must be unique; {len(twice)} occur more than once: {listed(twice)}"
        )
    if "" in unique:
        where = int(np.flatnonzero(values == "")[0])
        raise DataError(f"{name} must not be empty; entry {where} is")


def _check_calls(panel: Panel, ploidy: int) -> None:
    calls = panel["call_dosage"].values
    samples, loci = panel["sample_id"].values, panel["variant_id"].values
    locus_called = np.zeros(calls.shape[1], dtype=bool)
    uncalled: list[str] = []
    for start, rows in row_blocks(calls):
        missing = np.isnan(rows)
        with np.errstate(invalid="ignore"):
            outside = ~missing & ~((rows >= 0) & (rows <= ploidy))
        if outside.any():
            i, j = np.argwhere(outside)[0]
            raise DataError(
                f"a dosage must lie in [0, ploidy] = [0, {ploidy}]; sample "
                f"{str(samples[start + i])!r} has {rows[i, j]} at locus {str(loci[j])!r} "
                f"({int(outside.sum())} such cells in these rows); check the ploidy and the coding"
            )
        locus_called |= ~missing.all(axis=0)
        uncalled.extend(samples[start : start + len(rows)][missing.all(axis=1)])
    if uncalled:
        raise DataError(
            f"every sample needs at least one genotype; {len(uncalled)} have none: "
            f"{listed(uncalled)}; remove them"
        )
    if not locus_called.all():
        bad = loci[~locus_called]
        raise DataError(
            f"every locus needs at least one genotype; {len(bad)} have none: {listed(bad)}; "
            f"remove them"
        )


def _check_traits(panel: Panel) -> None:
    values = panel["trait_value"].values
    names, samples = panel["trait_name"].values, panel["sample_id"].values
    if np.isinf(values).any():
        i, j = np.argwhere(np.isinf(values))[0]
        raise DataError(
            f"a trait value must be finite; sample {str(samples[i])!r} has {values[i, j]} for "
            f"trait {str(names[j])!r}"
        )
    for j, name in enumerate(names):
        measured = values[~np.isnan(values[:, j]), j]
        if measured.size == 0:
            raise DataError(f"trait {str(name)!r} has no measured value; remove it")
        if (measured == measured[0]).all():
            raise DataError(
                f"trait {str(name)!r} is constant: all {measured.size} measured values are "
                f"{measured[0]:g}; there is nothing to learn, remove it"
            )
    if "trait_se" in panel:
        errors = panel["trait_se"].values
        bad = ~np.isnan(errors) & ~(errors >= 0)
        if bad.any():
            i, j = np.argwhere(bad)[0]
            raise DataError(
                f"a standard error must be >= 0; sample {str(samples[i])!r} has {errors[i, j]} for "
                f"trait {str(names[j])!r}"
            )
