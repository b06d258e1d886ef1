"""One training step of the published models: written plainly, against ours.

    python benchmarks/attention_speed.py [MODEL]... [--quick] [--write] [--train]

Plain is `plain_models.py`: every score matrix held, one-hot tokens for rijal. The two take turns
in one process. Memory is how far two steps in a fresh process raise its resident high-water mark
(ours depends on the timing of its threads: the median of three processes). Where there is a GPU,
`attention_speed_gpu.py` adds its tables.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from plain_models import plain_copy
from speed_cases import Case, product_rate, published, seconds_in_turn, step_of

N_LOCI = 1164
CPU = torch.device("cpu")


def cases(*, quick: bool) -> dict[str, Case]:
    """Return the cases by model, small ones for a quick look that the script works."""
    if not quick:
        return published(N_LOCI)
    return {name: replace(case, n_loci=280, batch=4) for name, case in published(280).items()}


def raised_memory(case: Case, which: str) -> float:
    """Return by how much two steps raise this process' high-water mark, in MB."""
    network = case.network()
    if which == "plain":
        network = plain_copy(network)
    step = step_of(network, *case.samples(CPU))
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))  # the libraries themselves are in memory
    before = high_water_mark()
    for _ in range(2):
        step()
    return high_water_mark() - before


def high_water_mark() -> float:
    """Return the most memory this process has had resident, in MB (Linux).

    `resource.getrusage` would start a child at the mark of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory_of_fresh_process(model: str, which: str, *, quick: bool, repeats: int) -> float:
    """Return the median of `raised_memory` in fresh processes."""
    command = [sys.executable, __file__, model, "--memory", which, *["--quick"] * quick]
    found = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats)
    ]
    return max(1.0, statistics.median(found))  # small ones fit into what is free


def cpu_row(model: str, case: Case, rate: float, *, quick: bool, repeats: int) -> str:
    """Measure one model and return its row of the table."""
    ours = case.network()
    X, Y = case.samples(CPU)
    steps = {"plain": step_of(plain_copy(ours), X, Y), "ours": step_of(ours, X, Y)}
    times = seconds_in_turn(steps, CPU, repeats=repeats)
    print(f"{case.name}: {times}", file=sys.stderr, flush=True)  # the memory takes a while
    memory = {
        "plain": memory_of_fresh_process(model, "plain", quick=quick, repeats=1),
        "ours": memory_of_fresh_process(model, "ours", quick=quick, repeats=1 if quick else 3),
    }
    cells = [
        case.name,
        *(f"{1e3 * times[which]:,.0f}" for which in steps),
        f"{times['plain'] / times['ours']:.1f}",
        *(f"{case.batch / times[which]:.0f}" for which in steps),
        *(f"{memory[which]:,.0f}" for which in steps),
        f"{memory['ours'] / memory['plain']:.0%}",
        *(f"{case.step_flops / times[which] / rate:.0%}" for which in steps),
    ]
    return f"| {' | '.join(cells)} |"


def cpu_table(models: Sequence[str], *, quick: bool) -> list[str]:
    """Return the lines of the table, printed as they come."""
    size = 256 if quick else 2048
    rate = product_rate(CPU, torch.float32, size=size)
    own = cases(quick=quick)
    lines = [
        f"L = {own['rijal'].n_loci:,}, float32, {torch.get_num_threads()} cores, whose matrix "
        f"products ({size} x {size}) measured {rate / 1e9:.0f} GFLOP/s.",
        "",
        "| training step | plain, ms | ours, ms | ratio | plain, samples/s | ours, samples/s "
        "| plain, MB | ours, MB | share | plain, of product rate | ours, of product rate |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for model in models:
        lines.append(cpu_row(model, own[model], rate, quick=quick, repeats=2 if quick else 5))
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="all three where none is named")
    parser.add_argument("--quick", action="store_true", help="small sizes, GPU tables on a CPU")
    parser.add_argument("--write", action="store_true", help="write benchmarks/attention_speed.md")
    parser.add_argument("--train", action="store_true", help="also a whole training, on a GPU")
    parser.add_argument("--memory", choices=["plain", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    own = cases(quick=options.quick)
    models = options.models or list(own)
    if unknown := set(models) - set(own):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    if options.memory:
        print(raised_memory(own[models[0]], options.memory))
        return
    sections = ["# Training steps: plain against ours", f"`{' '.join(['python', *sys.argv])}`"]
    sections += ["## CPU", "\n".join(cpu_table(models, quick=options.quick))]
    if torch.cuda.is_available() or options.quick:
        from attention_speed_gpu import gpu_sections

        sections += gpu_sections(models, quick=options.quick, train=options.train)
    if options.write:
        Path(__file__).with_suffix(".md").write_text("\n\n".join(sections) + "\n")


if __name__ == "__main__":
    main()
