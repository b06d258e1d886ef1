"""Every model as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.genotypes.loci import unplaced
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.models.one_a_trait import build_for
from crosstrait.models.registry import config_class, parse_model
from crosstrait.split.scaling import TraitScaler
from crosstrait.training.config import TrainConfig
from crosstrait.training.feature_coding import FeatureEncoder
from crosstrait.training.fit import fit_prepared, train_settings
from crosstrait.training.preparation import Prepared

_GROUPS = ("settings", "train")


class CrosstraitRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Any registered model behind scikit-learn's interface, for one trait or many.

    Missing values need no imputer: NaN in ``X`` takes the feature's training mean, and NaN in
    ``y`` costs its cell, not its sample. ``sample_weight`` is not supported.

    Parameters
    ----------
    model
        A registered name, such as ``"ridge"``, ``"residual"`` or ``"transformer"``.
    settings
        The model's settings that differ from its defaults. In ``set_params`` and grids,
        ``settings__embedding_dim`` is one of them.
    train
        Training settings of networks, on top of the model's own defaults; ``train__max_epochs``
        is one of them.
    validation
        Share of the training samples, in [0, 1), that networks watch to stop early and keep their
        best epoch, drawn by ``random_state``; at least one sample unless 0, which needs
        ``train={"keep": "last"}``. Other models learn from all samples.
    ploidy
        Where ``X`` are dosages in [0, ploidy], the gene copies a sample carries: genotypes are
        then coded as everywhere in crosstrait, and other values refused. None takes any numeric
        features: the range of each in training becomes [-1, +1], values beyond are extrapolated,
        and a feature that does not vary in training is ignored.
    random_state
        The seed, as of ``ct.fit``; None draws one.

    Attributes
    ----------
    fitted_ : Fitted
        What ``ct.fit`` returns; with a ``ploidy`` it can be saved and shared.
    validation_rows_ : numpy.ndarray
        Ascending row numbers of the samples that the network watched; empty for other models.
    trait_names_ : tuple of str
        Columns of ``y`` where it is a table, else made up.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : numpy.ndarray
        Their names, where ``X`` was a table whose columns are all strings.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 2, (60, 5))
    >>> y = X @ [1.0, 0.5, 0.0, 0.0, -1.0] + random.normal(0, 0.1, 60)
    >>> regressor = CrosstraitRegressor("ridge", ploidy=1).fit(X, y)
    >>> regressor.predict(X[:3]).shape
    (3,)
    """

    def __init__(
        self,
        model: str = "residual",
        *,
        settings: Mapping[str, Any] | None = None,
        train: Mapping[str, Any] | None = None,
        validation: float = 0.1,
        ploidy: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.model = model
        self.settings = settings
        self.train = train
        self.validation = validation
        self.ploidy = ploidy
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with ``deep`` also each given setting under its nested name."""
        params: dict[str, Any] = super().get_params(deep=deep)
        for group in _GROUPS if deep else ():
            if isinstance(params[group], Mapping):
                params |= {f"{group}__{name}": value for name, value in params[group].items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and single settings as ``settings__name`` or ``train__name``.

        Raises
        ------
        SettingsError
            If the model has no such setting; the message offers the nearest.
        """
        nested = {k: v for k, v in params.items() if k.partition("__")[0] in _GROUPS and "__" in k}
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        for key, value in nested.items():
            group, _, name = key.partition("__")
            known = TrainConfig if group == "train" else config_class(self.model)
            if name not in known.model_fields or name == "type":
                raise SettingsError(unknown(f"parameter of {group}", name, known.model_fields))
            setattr(self, group, {**(getattr(self, group) or {}), name: value})
        return self

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            (N, L) dosages or features; NaN is missing.
        y
            (N,) or (N, T) traits in their own units; NaN is missing.

        Raises
        ------
        DataError
            If a trait does not vary, or a dosage is out of range.
        SettingsError
            If the model or a setting is unknown or unusable.
        """
        config = self._config()
        train = train_settings(config, self.train)
        names = _column_names(y)
        checked: tuple[NDArray[Any], NDArray[np.float64]] = validate_data(
            self,
            X,
            y,
            validate_separately=(
                {**self._checks(), "ensure_min_samples": 2},
                {"dtype": np.float64, "ensure_all_finite": "allow-nan", "ensure_2d": False},
            ),
        )
        features, values = checked
        check_consistent_length(features, values)
        self._one_dimensional = values.ndim == 1
        values = values[:, None] if values.ndim == 1 else values
        self.trait_names_ = _trait_names(names, values.shape[1])
        seed = self._seed()
        share = self._validation_share(config, train, features.shape[1], values.shape[1])
        watching = _drawn(len(features), share, seed)
        self.validation_rows_ = np.flatnonzero(watching)
        prepared = self._prepare(features, values, watching, one_a_trait=train.scope == "single")
        [self.fitted_] = fit_prepared(config, train, prepared, seeds=[seed])
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return predictions (n,) or (n, T), as ``y`` was, in trait units."""
        X = self._checked(X)
        return self._shaped(self.fitted_.predict(X))

    def predict_sd(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the standard deviation of a new measurement around each prediction.

        Raises
        ------
        SettingsError
            If no sample was held out that would tell.
        """
        X = self._checked(X)
        return self._shaped(self.fitted_.predict_sd(X))

    def predict_interval(
        self, X: ArrayLike, level: float = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends of intervals that hold a new measurement.

        Parameters
        ----------
        X
            As in `predict`.
        level
            Share of new measurements that they are to hold, from 0.01 to 0.99.

        Returns
        -------
        tuple of numpy.ndarray
            Lower and upper ends; infinite where too few samples were held out for that level.

        Raises
        ------
        SettingsError
            If no sample was held out that would tell, or the level is out of range.
        """
        X = self._checked(X)
        lower, upper = self.fitted_.predict_interval(X, level=level)
        return self._shaped(lower), self._shaped(upper)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return R2, averaged over the traits, each over its measured cells."""
        predicted = self.predict(X)
        observed = np.asarray(y, dtype=np.float64)
        if observed.shape != predicted.shape:
            raise DataError(
                f"y must have the shape of the predictions, {predicted.shape}; got {observed.shape}"
            )
        observed, predicted = (v.reshape(len(v), -1) for v in (observed, predicted))
        scores = []
        for t in range(observed.shape[1]):
            measured = ~np.isnan(observed[:, t])
            scores.append(r2_score(observed[measured, t], predicted[measured, t]))
        return float(np.mean(scores))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = self.ploidy is not None
        tags.non_deterministic = False
        return tags

    def _config(self) -> ModelConfig:
        settings = dict(self.settings or {})
        if "type" in settings:
            raise SettingsError("settings must not hold 'type': model names the model")
        return parse_model({**settings, "type": self.model})

    def _checks(self) -> dict[str, Any]:
        # Numbers of other kinds become the first: dosages are exact in either width.
        wide = [np.float64, np.float32]
        dtype = wide if self.ploidy is None else wide[::-1]
        return {"dtype": dtype, "ensure_all_finite": "allow-nan"}

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        checked: NDArray[Any] = validate_data(self, X, reset=False, **self._checks())
        return checked

    def _shaped(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[:, 0] if self._one_dimensional else values

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(1 << 31))

    def _validation_share(
        self, config: ModelConfig, train: TrainConfig, n_loci: int, n_traits: int
    ) -> float:
        if not 0 <= self.validation < 1:
            raise SettingsError(f"validation = {self.validation!r}: a share is in [0, 1)")
        single = train.scope == "single"
        model = build_for(config, n_loci=n_loci, n_traits=n_traits, one_a_trait=single)
        return 0.0 if isinstance(model, Estimator) else self.validation

    def _prepare(
        self,
        X: NDArray[Any],
        Y: NDArray[np.float64],
        watching: NDArray[np.bool_],
        *,
        one_a_trait: bool,
    ) -> Prepared:
        rows = np.flatnonzero(~watching)
        encoder = self._encoder(X, rows)
        scaler = TraitScaler.fit(Y, rows=rows, trait_names=self.trait_names_)
        return Prepared(
            encoder=encoder,
            scaler=scaler,
            trait_names=self.trait_names_,
            X=encoder.encode(X, rows=rows),
            Y=scaler.scale(Y[~watching]),
            X_validation=encoder.encode(X, rows=self.validation_rows_),
            Y_validation=scaler.scale(Y[watching]),
            panel_digest="",
            split_digest="",
            one_a_trait=one_a_trait,
        )

    def _encoder(self, X: NDArray[Any], rows: NDArray[np.intp]) -> GenotypeEncoder:
        made_up = [f"locus_{j}" for j in range(X.shape[1])]
        loci = unplaced(list(getattr(self, "feature_names_in_", made_up)))
        if self.ploidy is None:
            return FeatureEncoder.learn(X, rows=rows, names=loci.variant_id)
        if not isinstance(self.ploidy, int | np.integer) or self.ploidy < 1:
            raise SettingsError(
                f"ploidy = {self.ploidy!r}: the gene copies of a sample are a whole number, at "
                f"least 1; None takes features of any kind"
            )
        return GenotypeEncoder.fit(
            X,
            rows=rows,
            ploidy=self.ploidy,
            variant_id=loci.variant_id,
            variant_contig=loci.variant_contig,
            variant_position=loci.variant_position,
            variant_allele=loci.variant_allele,
        )


def _drawn(n_samples: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Return which samples (N,) validate: that share, rounded, but at least one unless 0."""
    drawn = np.zeros(n_samples, dtype=bool)
    if share:
        count = max(1, round(share * n_samples))
        drawn[np.random.default_rng(seed).permutation(n_samples)[:count]] = True
    return drawn


def _column_names(y: Any) -> list[str] | None:
    if hasattr(y, "columns"):
        names = [str(name) for name in y.columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"columns of y must have different names; twice: {listed(twice)}")
        return names
    name = getattr(y, "name", None)
    return None if name is None else [str(name)]


def _trait_names(given: list[str] | None, n_traits: int) -> tuple[str, ...]:
    if not n_traits:
        raise DataError("y has no column; give at least one trait")
    return tuple(given or [f"trait_{t + 1}" for t in range(n_traits)])
