"""The `ntprune` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

import typer

from ntprune.cli import (
    attack,
    audit,
    check,
    demo,
    doctor,
    experiment,
    names,
    pretrain,
    protect,
    report,
)
from ntprune.cli.console import StoppedError
from ntprune.errors import NtpruneError, out_of_memory

app = typer.Typer(
    name="ntprune",
    help="Protect a released network from being fine-tuned for what its owner never allowed, "
    "and audit the protection as a thief would attack it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("pretrain")(pretrain.pretrain)
app.command("protect")(protect.protect)
app.command("audit")(audit.audit)
app.command("attack")(attack.attack)
app.command("report")(report.report)
app.command("check")(check.check)
app.command("domains")(names.domains)
app.command("methods")(names.methods)
app.command("attacks")(names.attacks)
app.command("experiment")(experiment.experiment)
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the user's mistake in one line, 1 ours."""
    # A symbol that the terminal doesn't have is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = app(args=arguments, standalone_mode=False)
    except NtpruneError as error:
        _fail(str(error), 2)
    except StoppedError as stop:
        _stopped(f" {stop}")
    except KeyboardInterrupt:
        _stopped()
    except Exception as error:
        if isinstance(error, PermissionError) and error.filename is not None:
            _fail(f"{error.filename}: permission denied: check the path and its permissions", 2)
        if out_of_memory(error):
            _fail(
                "out of memory: give a smaller batch, images or network, fewer workers, or another "
                "--device",
                2,
            )
        # Typer's own errors are told by what they can do: their home moved between versions.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.exit(2)
        context = getattr(error, "ctx", None)
        command = f"ntprune {context.info_name}" if context and context.parent else "ntprune"
        _fail(f"{error.format_message().rstrip('.')} (see '{command} --help')", 2)
    if code == 130:
        _stopped()
    sys.exit(code if isinstance(code, int) else 0)


def _stopped(where: str = "") -> None:
    again = "run it again, audits and protections go on"
    _fail(f"stopped{where}, nothing half-written left; {again}", 130)


def _fail(message: str, code: int) -> None:
    print(f"ntprune: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
