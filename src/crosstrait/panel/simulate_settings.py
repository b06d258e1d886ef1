"""What to simulate: the cross, the traits and what is missing."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from crosstrait.settings import Settings

Matrix = tuple[tuple[float, ...], ...]
Share = Annotated[float, Field(ge=0, le=1)]
# A single share serves every trait.
Shares = Annotated[
    tuple[Share, ...],
    Field(min_length=1),
    BeforeValidator(lambda given: given if isinstance(given, list | tuple) else (given,)),
]

_TOLERANCE = 1e-8


class Chromosome(Settings):
    """A chromosome: its name, its length in base pairs and in Morgans."""

    name: str = Field(min_length=1)
    length_bp: int = Field(ge=1)
    morgans: float = Field(ge=0)


def _yeast() -> tuple[Chromosome, ...]:
    # Lengths of the S288C reference. 50 cM for the obligatory crossover of every chromosome and
    # 0.3 cM/kb make 44 Morgans of them, the length of the yeast linkage map, and give short
    # chromosomes their higher rate.
    lengths = [230218, 813184, 316620, 1531933, 576874, 270161, 1090940, 562643]
    lengths += [439888, 745751, 666816, 1078177, 924431, 784333, 1091291, 948066]
    return tuple(
        Chromosome(name=f"chr{i:02}", length_bp=length, morgans=round(0.5 + 3e-6 * length, 3))
        for i, length in enumerate(lengths, start=1)
    )


YEAST = _yeast()


class Epistasis(Settings):
    """Interactions between causal loci, each between loci of different chromosomes.

    Attributes
    ----------
    share
        Share of the variance of each trait (one number, or one a trait) that interactions make.
    n_hubs, hub_partners
        Number of hub loci, and of other causal loci that each of them modulates in a pair.
    n_pairs, n_triples
        Numbers of further interactions between causal loci that are no hubs.
    """

    share: Shares
    n_hubs: int = Field(default=2, ge=0)
    hub_partners: int = Field(default=10, ge=1)
    n_pairs: int = Field(default=20, ge=0)
    n_triples: int = Field(default=0, ge=0)

    @property
    def n_terms(self) -> int:
        """The number of interactions."""
        return self.n_hubs * self.hub_partners + self.n_pairs + self.n_triples


class Environments(Settings):
    """Gene-by-environment interaction: each trait is measured in several environments.

    Attributes
    ----------
    count
        Number of environments; the panel then has ``n_traits * count`` traits.
    share
        Share x of the genetic variance that is specific to an environment: every effect is
        sqrt(1 - x) of an effect common to all environments plus sqrt(x) of one of its own, so
        that the genetic correlation of a trait between two environments is 1 - x.
    """

    count: int = Field(ge=2)
    share: Share


class Missing(Settings):
    """What was not measured.

    Attributes
    ----------
    traits
        Expected share of missing trait values.
    clustering
        0: every cell alone. Towards 1: the same samples miss most traits. It is the correlation
        of two cells of a sample being missing.
    calls
        Expected share of missing genotype calls.
    """

    traits: float = Field(default=0.0, ge=0, lt=1)
    clustering: float = Field(default=0.0, ge=0, lt=1)
    calls: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _clusters_of_something(self) -> Self:
        if self.clustering and not self.traits:
            raise ValueError("clustering needs missing traits > 0; there is nothing to cluster")
        return self


class SimulationConfig(Settings):
    """A simulated cross of two inbred parents and its traits.

    Attributes
    ----------
    n_samples, n_loci, n_traits
        Size of the panel; ``environments`` multiplies the traits.
    ploidy
        1: haploid segregants, one meiosis of the first generation each. 2: an F2, two each.
    chromosomes
        The linkage map; the 16 of yeast, 44 Morgans, where not given.
    n_causal
        Number of loci with additive effects; each affects every trait.
    additive
        Narrow-sense heritability of each trait: one number, or one a trait.
    epistasis
        Interactions and their share of the variance; none where not given. What additive
        effects and interactions leave of the variance of 1 is noise.
    genetic_correlation
        Correlation of the genetic values of the ``n_traits`` traits, additive and epistatic
        alike: one number for all pairs, or a matrix. 0 where not given.
    factor_loadings
        Instead of the correlation: (traits, factors) loadings F, which make it F F' off the
        diagonal.
    environments
        Gene-by-environment interaction; none where not given.
    missing
        What was not measured.
    seed
        Of everything.
    """

    n_samples: int = Field(default=2000, ge=2)
    n_loci: int = Field(default=1000, ge=1)
    n_traits: int = Field(default=6, ge=1)
    ploidy: Literal[1, 2] = 1
    chromosomes: tuple[Chromosome, ...] = Field(default=YEAST, min_length=1)
    n_causal: int = Field(default=100, ge=1)
    additive: Shares = (0.5,)
    epistasis: Epistasis | None = None
    genetic_correlation: float | Matrix | None = None
    factor_loadings: Matrix | None = None
    environments: Environments | None = None
    missing: Missing = Missing()
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        n_traits = self.n_panel_traits
        if self.n_causal > self.n_loci:
            raise ValueError(
                f"n_causal = {self.n_causal} causal loci do not fit in n_loci = {self.n_loci}"
            )
        terms = {"n_causal": self.n_causal}
        if self.epistasis:
            terms["the number of interactions"] = self.epistasis.n_terms
        for name, count in terms.items():
            if count < n_traits:
                raise ValueError(
                    f"{name} = {count} must be at least the number of traits, {n_traits}, to "
                    f"give their genetic values the correlations asked for"
                )
        names = [chromosome.name for chromosome in self.chromosomes]
        if len(set(names)) < len(names):
            raise ValueError(f"chromosomes must have different names; got {names}")
        noise = self.noise_variance()
        if noise.min() < -_TOLERANCE:
            raise ValueError(
                f"additive and epistasis share must add up to at most 1 for each trait; they "
                f"leave {noise.min():.3g} for the noise of trait {noise.argmin() + 1}"
            )
        eigenvalues = np.linalg.eigvalsh(self.correlation())
        if eigenvalues[0] < -_TOLERANCE:
            raise ValueError(
                f"no traits have these genetic correlations: the matrix has the negative "
                f"eigenvalue {eigenvalues[0]:.3g}"
            )
        return self

    @property
    def n_panel_traits(self) -> int:
        """T, the number of traits of the panel."""
        return self.n_traits * (self.environments.count if self.environments else 1)

    def trait_names(self) -> list[str]:
        """Return T names: the environments of the first trait, then those of the second, ..."""
        names = [f"trait_{i}" for i in range(1, self.n_traits + 1)]
        if self.environments is None:
            return names
        return [f"{t}_env_{e}" for t in names for e in range(1, self.environments.count + 1)]

    def additive_variance(self) -> NDArray[np.float64]:
        """Return the (T,) additive variance of the traits, whose total is 1."""
        return self._per_trait("additive", self.additive)

    def epistatic_variance(self) -> NDArray[np.float64]:
        """Return the (T,) variance of the traits that interactions make."""
        return self._per_trait("epistasis share", self.epistasis.share if self.epistasis else (0,))

    def noise_variance(self) -> NDArray[np.float64]:
        """Return the (T,) variance of the traits that is not genetic."""
        noise = 1 - self.additive_variance() - self.epistatic_variance()
        return np.where(np.abs(noise) < _TOLERANCE, 0.0, noise)

    def correlation(self) -> NDArray[np.float64]:
        """Return the (T, T) correlation of the genetic values that is asked for."""
        between = self._trait_correlation()
        if self.environments is None:
            return between
        count, share = self.environments.count, self.environments.share
        within = np.full((count, count), 1 - share) + share * np.eye(count)
        return np.kron(between, within).astype(np.float64)

    def _trait_correlation(self) -> NDArray[np.float64]:
        n_traits, given = self.n_traits, self.genetic_correlation
        between: NDArray[np.float64]
        if self.factor_loadings is not None:
            if given is not None:
                raise ValueError(
                    "factor_loadings and genetic_correlation say the same thing; give one"
                )
            loadings = _matrix("factor_loadings", self.factor_loadings, n_traits, None)
            between = loadings @ loadings.T
            if between.diagonal().max() > 1 + _TOLERANCE:
                worst = between.diagonal().argmax()
                raise ValueError(
                    f"the squares of the factor_loadings of a trait must add up to at most 1; "
                    f"those of trait {worst + 1} make {between[worst, worst]:.3g}"
                )
        elif given is None or isinstance(given, int | float):
            between = np.full((n_traits, n_traits), float(given or 0))
        else:
            between = _matrix("genetic_correlation", given, n_traits, n_traits)
            if not np.allclose(between, between.T) or not np.allclose(between.diagonal(), 1):
                raise ValueError("genetic_correlation must be symmetric with a diagonal of 1")
        np.fill_diagonal(between, 1)
        return between

    def _per_trait(self, name: str, shares: tuple[float, ...]) -> NDArray[np.float64]:
        if len(shares) not in (1, self.n_panel_traits):
            raise ValueError(
                f"{name} needs one number, or one for each of the {self.n_panel_traits} traits; "
                f"there are {len(shares)}: {', '.join(f'{share:g}' for share in shares)}; set it "
                f"together with the number of traits, as in {name.replace(' ', '.')}={shares[0]:g}"
            )
        return np.broadcast_to(np.asarray(shares, dtype=np.float64), self.n_panel_traits).copy()


def demo_config(**changes: Any) -> SimulationConfig:
    """Return the cross that ``crosstrait demo`` simulates, with ``changes`` to its settings.

    Six correlated traits whose hub and pairs of loci are strong enough for models with
    interactions to beat an additive one with 2,000 samples.
    """
    settings: dict[str, Any] = {
        "n_samples": 2000,
        "n_loci": 240,
        "n_traits": 6,
        "n_causal": 30,
        "additive": (0.45, 0.4, 0.35, 0.4, 0.45, 0.5),
        "epistasis": Epistasis(share=0.3, n_hubs=1, hub_partners=6, n_pairs=4),
        "genetic_correlation": 0.4,
        "missing": Missing(traits=0.1, clustering=0.1),
    }
    return SimulationConfig.parse({**settings, **changes}, where="the demo's cross")


def _matrix(name: str, given: Matrix, n_rows: int, n_columns: int | None) -> NDArray[np.float64]:
    widths = {len(row) for row in given}
    if (
        len(given) != n_rows
        or len(widths) != 1
        or widths == {0}
        or n_columns not in (None, *widths)
    ):
        columns = "factors" if n_columns is None else n_columns
        raise ValueError(
            f"{name} must be a matrix of {n_rows} x {columns} numbers, a row for each trait; got "
            f"{len(given)} rows of {sorted(widths)} numbers"
        )
    return np.asarray(given, dtype=np.float64)
