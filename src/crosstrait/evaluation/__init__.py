"""Scores on identical cells, their uncertainty, and paired comparisons."""

from crosstrait.evaluation.ceiling import above_ceiling, noise_ceiling, standard_errors
from crosstrait.evaluation.cells import concat_cells, make_cells, read_cells, write_cells
from crosstrait.evaluation.comparison import compare
from crosstrait.evaluation.leaderboard import leaderboard
from crosstrait.evaluation.metrics import pearson_r, r2, rmse
from crosstrait.evaluation.published import published_means, published_r2
from crosstrait.evaluation.scores import Scores, score
from crosstrait.evaluation.trait_correlation import trait_correlations
from crosstrait.evaluation.within import r_within

__all__ = [
    "Scores",
    "above_ceiling",
    "compare",
    "concat_cells",
    "leaderboard",
    "make_cells",
    "noise_ceiling",
    "pearson_r",
    "published_means",
    "published_r2",
    "r2",
    "r_within",
    "read_cells",
    "rmse",
    "score",
    "standard_errors",
    "trait_correlations",
    "write_cells",
]
