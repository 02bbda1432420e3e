"""The command line: parses, calls, sets the exit code. Everything heavy loads inside the command that needs it."""

from __future__ import annotations

import errno
import sys
from typing import Annotated, Any

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
from tts.errors import InputError, StorageFailed, TTSError

_WRONG_USE: type[Exception] = typer.BadParameter.__mro__[1]
"""Click's UsageError, which Typer has a copy of in some versions and imports in others."""

_OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
"""What is wrong with a path where nothing nearer to its use has said so."""

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
    code = None
    try:
        try:
            code = app(prog_name="tts" if sys.argv[0].endswith("__main__.py") else None, standalone_mode=False)
        finally:
            sys.stdout.flush()
    except _WRONG_USE as error:
        _report_use(error)
        sys.exit(InputError.exit_code)
    except TTSError as error:
        console.report(error)
        sys.exit(error.exit_code)
    except console.ReaderGone:
        sys.exit(0)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            console.silence()
            full = StorageFailed("cannot write the output: no space left", "free some space, or write elsewhere")
            console.report(full)
            sys.exit(full.exit_code)
        if error.errno not in _OUT_OF_REACH or error.filename is None:
            raise
        console.report(
            InputError(f"{error.filename}: {error.strerror}", "a path that you may read, and write where asked")
        )
        sys.exit(InputError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _report_use(error: Any) -> None:
    """A command line that cannot be parsed, in our words' form; a command that was given nothing shows its help."""
    from tts import console

    if type(error).__name__ == "NoArgsIsHelpError":
        return console.explain(error.ctx.get_help())
    words = [w for w in sys.argv[1:2] if not w.startswith("-")]
    where = error.ctx.command_path if error.ctx is not None else " ".join(["tts", *words])
    message = " ".join(error.format_message().replace("Value error, ", "").rstrip(".").split())
    return console.report(InputError(message[:1].lower() + message[1:], f"{where} --help"))
