"""The command line.

It is made with cyclopts: the commands are plain typed functions, and their types and numpydoc
docstrings are the command line and its help. tyro does the same from types; cyclopts has
subcommands as functions rather than as a union of types, offers the nearest spelling of a
misspelt option, and leaves errors to the caller, so that a usage error and an error in the data
end alike: one line, exit code 2.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from crosstrait import __version__
from crosstrait.commands import data, experiments, figures, models
from crosstrait.commands.output import note
from crosstrait.errors import CrosstraitError
from crosstrait.experiments.interrupt import Interrupted, stopping_on_signals

app = App(
    name="crosstrait",
    help="From genotype files and many traits to an honest prediction of every trait.",
    version=__version__,
    help_format="plaintext",
)
app.command(experiments.demo)
app.command(data.datasets)
app.command(data.fetch)
app.command(data.import_, name="import")
app.command(data.inspect)
app.command(data.simulate)
app.command(experiments.run)
app.command(experiments.runs)
app.command(experiments.report)
app.command(figures.figure)
app.command(models.predict)
app.command(models.import_checkpoint)

_USER_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Carry out one command and return its exit code.

    0: done. 1: done, but some runs failed. 2: something in the command, the files or the disk is
    not as it must be; one line says what. 130 and 143: stopped by Ctrl-C and by SIGTERM.
    """
    try:
        with warnings.catch_warnings(), stopping_on_signals():
            warnings.filterwarnings("always", category=UserWarning, module="crosstrait")
            warnings.showwarning = _show_warning
            code = app(
                arguments, exit_on_error=False, print_error=False, result_action="return_value"
            )
            return int(code or 0)
    except CycloptsError as error:
        text = str(error)
        text = text if text.endswith("...") else text.removesuffix(".")
        command = " ".join(("crosstrait", *(error.command_chain or ())))
        return _fail(f"{text}; see {command} --help")
    except CrosstraitError as error:
        return _fail(str(error))
    except BrokenPipeError:
        return _USER_ERROR
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError as error:
        return _fail(f"there is not enough memory: {error}")
    except (Interrupted, KeyboardInterrupt) as stop:
        note("stopped; what is finished stays, and the same command goes on from there")
        return getattr(stop, "exit_code", 130)


def _fail(message: str) -> int:
    note(" ".join(message.split()))
    return _USER_ERROR


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    note(f"warning: {' '.join(str(message).split())}")


if __name__ == "__main__":
    main()
