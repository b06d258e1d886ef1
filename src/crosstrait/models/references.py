"""What each model is, in a sentence, and whom to cite for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model as a stranger needs it described.

    Attributes
    ----------
    about
        What it is.
    papers
        Where it, or what it is made of, was published.
    """

    about: str
    papers: tuple[str, ...]


_RIJAL = "Rijal et al. 2025, bioRxiv 10.1101/2025.04.11.648465"
_VASWANI = "Vaswani et al. 2017, arXiv:1706.03762"
_LASSO = "Tibshirani 1996, J. R. Stat. Soc. B 58:267"
_HEREDITY = "Chipman 1996, Canadian Journal of Statistics 24:17 (effect heredity)"

REFERENCES: Mapping[str, Reference] = {
    "ridge": Reference(
        about="ridge regression on all loci (GBLUP), one penalty a trait",
        papers=("Golub, Heath and Wahba 1979, Technometrics 21:215",),
    ),
    "multi_gblup": Reference(
        about="multi-trait GBLUP with estimated covariances of the traits",
        papers=("Henderson and Quaas 1976, Journal of Animal Science 43:1188",),
    ),
    "lasso": Reference(
        about="the lasso on all loci, one penalty a trait",
        papers=(_LASSO, "Usai, Goddard and Hayes 2009, Genetics Research 91:427"),
    ),
    "gp": Reference(
        about="a Gaussian process a trait, with additive effects and interactions of all orders",
        papers=(
            "Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, MIT Press",
            "Morota and Gianola 2014, Frontiers in Genetics 5:363",
        ),
    ),
    "trees": Reference(
        about="gradient-boosted trees, one booster a trait (LightGBM)",
        papers=("Friedman 2001, Annals of Statistics 29:1189", "Ke et al. 2017, NeurIPS 30"),
    ),
    "residual": Reference(
        about="lasso effects, and an ensemble of multi-trait networks for what they leave",
        papers=(_LASSO, _HEREDITY),
    ),
    "sparse_attention": Reference(
        about="lasso effects, sparse attention of loci to loci, and multi-trait networks",
        papers=(
            "Katharopoulos, Vyas, Pappas and Fleuret 2020, ICML, arXiv:2006.16236",
            "Fan and Lv 2008, J. R. Stat. Soc. B 70:849 (screening)",
        ),
    ),
    "stack": Reference(
        about="a weighted mean of other models, its weights learned from held-out samples",
        papers=("Breiman 1996, Machine Learning 24:49",),
    ),
    "rijal": Reference(about="attention over loci, one network a trait", papers=(_RIJAL,)),
    "rijal_multienv": Reference(
        about="attention over loci and one environment token, all traits in one network",
        papers=(_RIJAL,),
    ),
    "canonical": Reference(
        about="single-head attention over loci, all traits in one network",
        papers=(
            "Arcadia Science 2025, on cross-trait learning with canonical transformers",
            _VASWANI,
        ),
    ),
    "transformer": Reference(
        about="a pre-norm transformer encoder over loci, all traits in one network",
        papers=(_VASWANI, "Xiong et al. 2020, ICML, arXiv:2002.04745"),
    ),
}
