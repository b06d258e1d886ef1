"""A full disk, a disk that turns read-only, a clock that jumps: stop, mend, rerun, compare.

    python validation/hostile_machine.py            # as root, on Linux; writes hostile_machine.md
    python validation/hostile_machine.py --quick

The experiment of kill_resume.py, on disks of its own: small ones in memory that fill up, at once or
with the last runs, and one that is mounted again as read-only while networks train. The command
must end by itself with one line that names the cause and exit code 2, without a traceback; with the
cause gone, the same command must end well, without training finished runs again. The clock is that
of libfaketime (Debian's package faketime): the first command is killed under a clock that is 400
days ahead, the second goes on under one that is 400 days behind and runs a hundred times as fast.
Every number must be that of an undisturbed run, bit for bit.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kill_resume import numbers, start, write_experiment

from crosstrait.experiments.cache import is_finished
from crosstrait.experiments.storage import write_text


@dataclass(frozen=True)
class Stop:
    """How the first command ended: its exit code, what it said, the runs that were finished."""

    code: int
    said: str
    finished: dict[Path, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="trainings of a second")
    options = parser.parse_args()
    if shutil.which("faketime") is None:
        subprocess.run(["apt-get", "install", "--yes", "faketime"], check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment = write_experiment(folder, quick=options.quick)
        if start(experiment, folder / "undisturbed").wait():
            sys.exit(f"the undisturbed run failed: {(folder / 'undisturbed.log').read_text()}")
        wanted = numbers(folder / "undisturbed")
        used = sum(p.stat().st_size for p in (folder / "undisturbed").rglob("*") if p.is_file())
        trials: list[tuple[str, Callable[[Path, Path], Stop]]] = [
            ("disk of 64 KiB", lambda e, out: full_disk(e, out, size=64 << 10)),
            ("disk of half of what is needed", lambda e, out: full_disk(e, out, size=used // 2)),
            (
                "disk of 85 % of what is needed",
                lambda e, out: full_disk(e, out, size=used * 85 // 100),
            ),
            ("disk turned read-only in training", read_only),
            ("clock 400 days ahead, then behind", wrong_clock),
        ]
        rows = []
        for number, (what, trial) in enumerate(trials):
            out = folder / f"trial-{number}"
            out.mkdir()
            with mounted(out):
                stop = trial(experiment, out)
                clock = ["faketime", "-f", "-400d x100"] if trial is wrong_clock else []
                code = start(experiment, out, clock=clock).wait()
                kept = all(path.stat().st_mtime_ns == when for path, when in stop.finished.items())
                same = code == 0 and kept and numbers(out) == wanted
            rows.append((what, stop, same))
    table = "\n".join(
        [
            "| what happened | exit code, message | runs finished by then | same numbers after |",
            "|---|---|---|---|",
            *(
                f"| {what} | {stop.code}: {stop.said} | {len({p.parent for p in stop.finished})} "
                f"of 12 | {'yes' if same else 'NO'} |"
                for what, stop, same in rows
            ),
        ]
    )
    print(table)
    if not options.quick:
        text = f"# A hostile machine\n\n{__doc__}\n{table}\n"
        write_text(Path(__file__).with_suffix(".md"), text)
    alright = all(same and stop.code in (2, -9) for _, stop, same in rows)
    return 0 if alright else 1


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Give ``folder`` a disk of its own, in memory, while the block runs."""
    _mount("-t", "tmpfs", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_disk(experiment: Path, out: Path, *, size: int) -> Stop:
    """Run on a disk of ``size`` bytes; then make it large."""
    _mount("-o", f"remount,size={size}", str(out))
    stop = _ended(start(experiment, out), out)
    _mount("-o", "remount,size=1G", str(out))
    return stop


def read_only(experiment: Path, out: Path) -> Stop:
    """Mount the disk as read-only while networks train; then make it writable again."""
    process = start(experiment, out)
    while process.poll() is None and not list(out.glob("runs/canonical-*/DONE")):
        time.sleep(0.02)
    subprocess.run(["mount", "-o", "remount,ro,force", str(out)], check=False, capture_output=True)
    if not _is_read_only(out):  # files that are open for writing forbid it, for a moment
        while process.poll() is None and not _is_read_only(out):
            subprocess.run(
                ["mount", "-o", "remount,ro", str(out)], check=False, capture_output=True
            )
    stop = _ended(process, out)
    _mount("-o", "remount,rw", str(out))
    return stop


def wrong_clock(experiment: Path, out: Path) -> Stop:
    """Run under a clock that is ahead; kill it once a network is trained."""
    process = start(experiment, out, clock=["faketime", "-f", "+400d"])
    while process.poll() is None and not list(out.glob("runs/canonical-*/DONE")):
        time.sleep(0.02)
    subprocess.run(["pkill", "-KILL", "--parent", str(process.pid)], check=False)
    process.kill()
    return _ended(process, out)


def _ended(process: subprocess.Popen[bytes], out: Path) -> Stop:
    code = process.wait()
    said = [
        line
        for line in out.with_suffix(".log").read_text().splitlines()
        if line.startswith(("crosstrait: ", "Traceback"))
    ]
    finished = {
        path: path.stat().st_mtime_ns
        for run in out.glob("runs/[a-z]*")
        if is_finished(run)
        for path in run.iterdir()
    }
    return Stop(code, " ".join(said).replace(str(out), "OUT") or "(killed)", finished)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _is_read_only(folder: Path) -> bool:
    try:
        (folder / ".probe").touch()
        (folder / ".probe").unlink()
    except OSError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
