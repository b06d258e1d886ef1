"""Trains in child processes, kills them at random moments, and finishes what is left.

A program of its own, because it forks: ``python interrupted_training.py FOLDER SIGNAL...`` ends
one training after the other with the signals (``KILL``, ``TERM``, ``INT``), each going on from
where the one before was, and prints what became of them as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from crosstrait.training.checkpoint import CheckpointFile
from crosstrait.training.network import train_network
from crosstrait.training.progress import EpochDone, Progress
from support.training import cross, replicate, training

KEY = "0123456789abcdef"


def train(
    folder: Path | None, *, every: float, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Train two members with everything that has a state, and return what they became.

    Their rates fall, their best epochs are early, and both stop before the last.
    """
    start = time.monotonic()
    config = training(
        max_epochs=20,
        batch_size=25,
        learning_rate=0.1,
        schedule="plateau",
        plateau_patience=1,
        average_decay=0.9,
        patience=3,
    )
    data = cross(250)
    data.Y.add_(torch.randn(data.Y.shape, generator=torch.Generator().manual_seed(0)))
    seen: list[EpochDone] = []

    def note(done: EpochDone) -> None:
        seen.append(done)
        progress(done)

    outcomes = train_network(
        [replicate(seed, dropout=0.3) for seed in (4, 9)],
        data,
        config,
        checkpoint=None if folder is None else CheckpointFile(folder=folder, key=KEY),
        checkpoint_seconds=every,
        progress=note,
    )
    histories = [[asdict(done) | {"seconds": 0} for done in o.history] for o in outcomes]
    bits = [[p.detach().numpy().tobytes().hex() for p in o.network.parameters()] for o in outcomes]
    return {
        "numbers": [histories, bits],
        "n_seen": len(seen),
        "wall": time.monotonic() - start,
    }


def in_child(work: Callable[[], dict[str, Any]], result: Path) -> int:
    """Fork; the child writes what ``work`` returns. Returns the child's id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        result.write_text(json.dumps(work()))
        code = 0
    except KeyboardInterrupt:
        code = 130
    except SystemExit as ended:
        code = int(str(ended.code))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def finished(work: Callable[[], dict[str, Any]], result: Path) -> dict[str, Any]:
    _, status = os.waitpid(in_child(work, result), 0)
    assert status == 0, status
    return dict(json.loads(result.read_text()))


def epochs_kept(work: Path) -> int:
    """Return how many epochs the checkpoint holds."""
    state = CheckpointFile(folder=work, key=KEY).load()
    return 0 if state is None else int(state.values["epoch"])


def main() -> None:
    folder, signals = Path(sys.argv[1]), [signal.Signals[f"SIG{name}"] for name in sys.argv[2:]]
    torch.set_num_threads(1)
    undisturbed = finished(lambda: train(None, every=1e9), folder / "undisturbed")
    work = folder / "work"
    draw = random.Random(time.time_ns())
    exits, held = [], []
    for i, end in enumerate(signals):
        # Saved at every step, so that many kills hit a save; or only when told to end.
        every = 1e9 if end == signal.SIGTERM else 0.0
        child = in_child(lambda every=every: train(work, every=every), folder / f"ended_{i}")
        time.sleep(draw.uniform(0.1, 0.7) * undisturbed["wall"])
        while i == len(signals) - 1 and not epochs_kept(work):
            time.sleep(0.01)  # a busy machine may have spent the time on imports
        os.kill(child, end)
        exits.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        state = CheckpointFile(folder=work, key=KEY).load()
        held.append(None if state is None else [state.values["epoch"], state.values["next_step"]])
    resumed = finished(lambda: train(work, every=1e9), folder / "resumed")
    report = {
        "same": resumed["numbers"] == undisturbed["numbers"],
        "n_undisturbed": undisturbed["n_seen"],
        "n_resumed": resumed["n_seen"],
        "exits": exits,
        "held": held,
        "files": sorted(path.name for path in work.iterdir()),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
