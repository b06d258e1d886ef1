"""Drivers of one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from crosstrait.experiments.engines.slurm_drivers import Drivers

WAITS = """
import sys, time
from pathlib import Path
from crosstrait.experiments.engines.slurm_drivers import Drivers
driver = Drivers(Path(sys.argv[1]))
driver.wait_for(["killed"])
print("there", flush=True)
time.sleep(20)
"""


def test_who_leaves_is_told_what_the_others_wait_for(tmp_path: Path) -> None:
    first, second, third = (Drivers(tmp_path) for _ in range(3))
    first.wait_for(["a", "b"])
    first.wait_for(["c"])
    second.wait_for(["b"])
    third.wait_for(["d"])
    assert first.leave() == {"b", "d"}
    assert second.leave() == {"d"}
    assert third.leave() == set()
    assert not list(tmp_path.iterdir())


def test_what_is_no_longer_waited_for_may_be_deleted_by_the_last(tmp_path: Path) -> None:
    first, second = Drivers(tmp_path), Drivers(tmp_path)
    for driver in (first, second):
        driver.wait_for(["a", "b"])
    assert first.drop("a") == {"a", "b"}
    assert second.drop("a") == {"b"}
    assert first.leave() == {"b"}
    assert second.leave() == set()


def test_a_driver_that_was_killed_waits_for_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        one = Drivers(tmp_path)
        assert one.leave() == {"killed"}
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    last = Drivers(tmp_path)
    assert last.leave() == set()
    assert not list(tmp_path.iterdir())
