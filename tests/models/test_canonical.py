"""The settings that lead from rijal to the canonical model and on, one change at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.errors import SettingsError
from crosstrait.models.canonical import Canonical, CanonicalConfig
from crosstrait.models.rijal import RijalConfig
from crosstrait.training.fit import fit

pytestmark = pytest.mark.usefixtures("cpu_path")

L, T = 9, 3
TOGGLES: dict[str, dict[str, Any]] = {
    "published": {},
    "column": {"bias": "column"},
    "locus": {"readout": "locus"},
    "column and locus": {"bias": "column", "readout": "locus", "skip_connections": True},
    "feed-forward": {"feedforward_dim": 5},
    "all": {
        "scaled_attention": True,
        "layer_norm": True,
        "skip_connections": True,
        "feedforward_dim": 5,
        "readout": "locus",
    },
    "one layer": {"n_layers": 1, "bias": "column", "readout": "locus"},
    "one pooled layer": {"n_layers": 1, "layer_norm": True, "feedforward_dim": 5},
}


def network(seed: int = 0, **settings: Any) -> Canonical:
    torch.manual_seed(seed)
    config = CanonicalConfig(embedding_dim=6, init_scale=0.4, **settings)
    built = config.build(n_loci=L, n_traits=T)
    with torch.no_grad():  # biases and norms start at 0 and 1
        for weight in built.parameters():
            weight += 0.2 * torch.randn_like(weight)
    return built


def genotypes(n: int = 4) -> Tensor:
    return torch.randn(n, L, generator=torch.Generator().manual_seed(1)).tanh()


def written_out(net: Canonical, X: Tensor) -> Tensor:
    """The equations of the docstring, nothing merged, scores (B, L, L) held whole."""
    config, w = net.config, dict(net.named_parameters())
    tokens = X.unsqueeze(-1) * w["embedding"]
    if config.bias == "column":
        tokens = torch.cat([tokens, torch.ones_like(tokens[..., :1])], dim=-1)

    def normed(units: Tensor, name: str, layer: int) -> Tensor:
        if not config.layer_norm:
            return units
        weight, bias = w[f"{name}_weight"][layer], w[f"{name}_bias"][layer]
        return F.layer_norm(units, units.shape[-1:], weight, bias)

    for layer in range(config.n_layers):
        units = normed(tokens, "norm", layer)
        query, key, value = (
            units @ w[f"{name}_weight"][layer]
            + (0 if config.bias == "column" else w[f"{name}_bias"][layer])
            for name in ("query", "key", "value")
        )
        scale = config.embedding_dim**-0.5 if config.scaled_attention else 1
        attended = torch.softmax(scale * query @ key.mT, dim=-1) @ value
        tokens = tokens + attended if config.skip_connections and layer else attended
        if config.feedforward_dim:
            units = normed(tokens, "feedforward_norm", layer)
            hidden = units @ w["feedforward_in_weight"][layer] + w["feedforward_in_bias"][layer]
            fed = hidden.relu() @ w["feedforward_out_weight"][layer]
            fed = fed + w["feedforward_out_bias"][layer]
            tokens = tokens + fed if config.skip_connections else fed
    if config.readout == "locus":
        return torch.einsum("bld,ldt->bt", tokens, w["readout_weight"]) + w["readout_bias"]
    return tokens.mean(dim=1) @ w["readout_weight"] + w["readout_bias"]


@pytest.mark.parametrize("name", TOGGLES)
def test_every_setting_computes_what_it_says(name: str) -> None:
    net, X = network(**TOGGLES[name]), genotypes()
    expected = written_out(net, X)
    assert expected.std() > 1e-2
    torch.testing.assert_close(net(X), expected, rtol=1e-4, atol=1e-5)
    weights = list(net.parameters())
    random = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad((net(X) * random).sum(), weights)
    theirs = torch.autograd.grad((written_out(net, X) * random).sum(), weights)
    for (key, _), mine, other in zip(net.named_parameters(), ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4, msg=key)


def test_with_column_and_per_locus_readout_it_is_rijal() -> None:
    torch.manual_seed(0)
    rijal = RijalConfig(embedding_dim=5, init_scale=0.4).build(n_loci=L)
    config = CanonicalConfig(embedding_dim=5, bias="column", readout="locus", per_trait=True)
    canonical = config.build(n_loci=L, n_traits=1)
    weights = dict(rijal.named_parameters())
    renamed = {
        "embedding": weights["embedding"],
        **{f"{name}_weight": weights[name] for name in ("query", "key", "value")},
        "readout_weight": weights["readout"].unsqueeze(-1),
        "readout_bias": weights["offset"],
    }
    canonical.load_state_dict(renamed)
    assert config.single_trait
    torch.testing.assert_close(canonical(genotypes()), rijal(genotypes()))


def test_a_fixed_embedding_keeps_the_unit_length_that_it_was_drawn_with(small_fit) -> None:
    def embedding(fitted: Any) -> Tensor:
        return dict(fitted.predictor[0].named_parameters())["embedding"].detach()

    fixed, learned = small_fit(learned_embedding=False), small_fit(learned_embedding=True)
    torch.manual_seed(0)
    drawn = CanonicalConfig(embedding_dim=4, n_layers=1).build(n_loci=8, n_traits=T).embedding
    unit = drawn.detach() / (0.03 * 4**0.5)
    torch.testing.assert_close(embedding(fixed), unit)
    assert unit.square().sum(dim=1).mean() == pytest.approx(1, abs=0.5)
    assert not torch.equal(embedding(learned), drawn)


def test_one_network_a_trait_is_each_trait_alone(small_fit, small_panel) -> None:
    fitted = small_fit(per_trait=True)
    assert len(fitted.predictor) == T
    dosage = small_panel["call_dosage"].values[:5]
    for t, name in enumerate(fitted.trait_names):
        alone = small_fit(per_trait=True, traits=[name])
        np.testing.assert_allclose(
            fitted.predict(dosage)[:, t], alone.predict(dosage)[:, 0], rtol=1e-4, atol=1e-4
        )


@pytest.fixture(scope="module")
def small_panel():
    from crosstrait.panel.simulate import SimulationConfig, simulate

    return simulate(SimulationConfig(n_samples=50, n_loci=8, n_traits=T, n_causal=4))[0]


@pytest.fixture
def small_fit(small_panel):
    from crosstrait.split import schemes

    split = schemes.random(small_panel)

    def train(*, traits: list[str] | None = None, **settings: Any) -> Any:
        config = CanonicalConfig(embedding_dim=4, n_layers=1, **settings)
        short = {"max_epochs": 2, "batch_size": 16, "device": "cpu"}
        return fit(config, small_panel, split, train=short, traits=traits)

    return train


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bias": "column", "layer_norm": True}, "rescale the constant component"),
        ({"bias": "column", "embedding_dim": 1}, "takes one of embedding_dim = 1"),
        ({"bias": "none"}, "'linear' or 'column'"),
        ({"feedforward_dim": -1}, "greater than or equal to 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        CanonicalConfig.parse({"type": "canonical", **settings}, where="model")
