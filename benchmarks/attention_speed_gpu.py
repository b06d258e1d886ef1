"""The GPU tables of `attention_speed.py`; at toy size they run on a CPU, by the same code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from plain_models import plain_copy
from speed_cases import Case, Step, product_rate, published, seconds_in_turn, step_of

import crosstrait as ct
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.training.compiled import CompiledMembers

MEMBERS = 18


def gpu_sections(models: Sequence[str], *, quick: bool, train: bool) -> list[str]:
    """Measure on the GPU, or at toy size on a CPU where there is none; return Markdown."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    tables = {
        f"GPU ({name})": steps_table(models, device, quick=quick),
        f"{MEMBERS} single-trait rijal models": members_table(device, quick=quick),
    }
    if train:
        tables["A whole training"] = training_table(quick=quick)
    sections = []
    for title, lines in tables.items():
        sections += [f"## {title}", "\n".join(lines)]
        print("\n\n".join(sections[-2:]), flush=True)
    return sections


def sized(case: Case, *, quick: bool) -> Case:
    if not quick:
        return replace(case, batch=64)
    small = {"embedding_dim": 8, "n_heads": 2, "feedforward_dim": 16}
    settings = {name: small.get(name, value) for name, value in case.settings.items()}
    return replace(case, settings=settings, n_loci=20, batch=4)


def compiled(device: torch.device) -> CompiledMembers:
    return CompiledMembers(backend="inductor" if device.type == "cuda" else "eager")


def steps_table(models: Sequence[str], device: torch.device, *, quick: bool) -> list[str]:
    """Time the steps of each model: plain, and ours in float32, bf16 mixed and compiled."""
    size = 64 if quick else 8192
    rates = {
        dtype: product_rate(device, dtype, size=size) for dtype in (torch.float32, torch.bfloat16)
    }
    measured = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {d}" for d, rate in rates.items())
    lines = [
        f"Matrix products ({size} x {size}) measured {measured}.",
        "",
        "| training step | how | ms | times plain float32 | samples/s | MB | of product rate |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in models:
        case = sized(published(1164)[model], quick=quick)
        X, Y = case.samples(device)
        ours = case.network().to(device)
        steps: dict[str, Step] = {
            "plain float32": step_of(plain_copy(ours), X, Y),
            "plain bf16": step_of(plain_copy(ours), X, Y, bf16=True),
            "ours float32": step_of(ours, X, Y),
            "ours bf16": step_of(ours, X, Y, bf16=True),
            "ours bf16 compiled": step_of(ours, X, Y, bf16=True, run=compiled(device)),
        }
        times = seconds_in_turn(steps, device, repeats=2 if quick else 20, warm_up=3)
        for how, step in steps.items():
            rate = rates[torch.bfloat16 if "bf16" in how else torch.float32]
            cells = [
                case.name,
                how,
                f"{1e3 * times[how]:.1f}",
                f"{times['plain float32'] / times[how]:.1f}",
                f"{case.batch / times[how]:,.0f}",
                raised_memory(step, device),
                f"{case.step_flops / times[how] / rate:.0%}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def raised_memory(step: Step, device: torch.device) -> str:
    """Return by how much a step raises the memory that torch holds on a GPU, in MB."""
    if device.type != "cuda":
        return "-"
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step()
    torch.cuda.synchronize(device)
    return f"{(torch.cuda.max_memory_allocated(device) - before) / 2**20:,.0f}"


def members_table(device: torch.device, *, quick: bool) -> list[str]:
    """Time a step of 18 rijal models: plain, one by one; ours, one by one and in one pass."""
    case = sized(published(1164)["rijal"], quick=quick)
    X, Y = case.samples(device)
    members = 3 if quick else MEMBERS
    networks = [case.network(seed=seed).to(device) for seed in range(members)]

    def one_by_one(steps: Sequence[Step]) -> Step:
        return lambda: [step() for step in steps] and None

    steps: dict[str, Step] = {
        "plain float32, one by one": one_by_one(
            [step_of(plain_copy(network), X, Y) for network in networks]
        ),
        "ours bf16, one by one": one_by_one(
            [step_of(network, X, Y, bf16=True) for network in networks]
        ),
        "ours float32, one pass": step_of(networks, X, Y),
        "ours bf16, one pass": step_of(networks, X, Y, bf16=True),
        "ours bf16 compiled, one pass": step_of(networks, X, Y, bf16=True, run=compiled(device)),
    }
    times = seconds_in_turn(steps, device, repeats=2 if quick else 10, warm_up=3)
    plain = times["plain float32, one by one"]
    lines = [f"| {case.name} each | ms | times plain one by one |", "|---|---|---|"]
    lines += [f"| {how} | {1e3 * t:.1f} | {plain / t:.1f} |" for how, t in times.items()]
    return lines


def training_table(*, quick: bool) -> list[str]:
    """Time an 80-epoch transformer on a simulated cross of the published size, whole."""
    n_train, n_loci, n_causal, epochs = (600, 30, 25, 2) if quick else (72_214, 1164, 300, 80)
    n_samples = round(n_train / 0.7225)
    config = SimulationConfig(n_samples=n_samples, n_loci=n_loci, n_traits=18, n_causal=n_causal)
    panel, _ = simulate(config)
    split = ct.split.random(panel, test=0.15, validation=0.1275, seed=0)
    start = time.perf_counter()
    model = {"type": "transformer"} | ({"embedding_dim": 8, "n_heads": 2} if quick else {})
    fitted = ct.fit(model, panel, split, train={"max_epochs": epochs})
    taken = time.perf_counter() - start
    return [
        "| transformer, L, samples, epochs | whole fit, min | best validation R2 |",
        "|---|---|---|",
        f"| {n_loci:,}, {len(split.train):,}, {epochs} | {taken / 60:.1f} "
        f"| {fitted.metrics['best_val_r2']:.3f} |",
    ]
