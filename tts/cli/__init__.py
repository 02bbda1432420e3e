"""The command line: parses, calls, sets the exit code. Everything heavy loads inside the command that needs it."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

import tts
from tts.cli import data, sleep, synth
from tts.cli.bench import bench
from tts.cli.calibrate import calibrate
from tts.cli.check import check
from tts.cli.compare import compare
from tts.cli.doctor import doctor
from tts.cli.eval import eval_
from tts.cli.export import export
from tts.cli.grade import grade
from tts.cli.list import list_
from tts.cli.plan import plan
from tts.cli.report import report
from tts.cli.run import run
from tts.cli.score import score
from tts.cli.show import show
from tts.cli.sweep import sweep
from tts.errors import StorageFailed, TTSError

app = typer.Typer(
    name="tts",
    help="Make a language model reason better at test time, and see what each point of accuracy cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("eval")(eval_)
app.command("sweep")(sweep)
app.command("grade")(grade)
app.command("check")(check)
app.command("export")(export)
app.command("show")(show)
app.command("score")(score)
app.command("report")(report)
app.command("compare")(compare)
app.command("list")(list_)
app.command("plan")(plan)
app.command("calibrate")(calibrate)
app.command("doctor")(doctor)
app.add_typer(sleep.app, name="sleep")
app.add_typer(data.app, name="data")
app.add_typer(bench, name="bench")
app.add_typer(synth.app, name="synth")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tts {tts.__version__}\n")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make a language model reason better at test time, and see what each point of accuracy cost."""


def main() -> None:
    """Entry point of `tts`, `tts-reasoning` and `python -m tts`."""
    from tts import console

    console.watch_stdout()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except TTSError as error:
        console.report(error)
        sys.exit(error.exit_code)
    except console.ReaderGone:
        sys.exit(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        console.silence()
        console.report(StorageFailed("cannot write the output: no space left", "free some space, or write elsewhere"))
        sys.exit(StorageFailed.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
