"""The console entry `seats`: arguments in, an exit code out, and any error as one line on standard error.

Nothing heavy is imported here or on the way to a command's help: each command imports what it needs when it runs.
"""

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from worker.cli.errors import BAD_USAGE, FAILED, INTERRUPTED, CommandError
from worker.cli.parent import WITH_PARENT, end_with_parent
from worker.cli.saying import remark

_FLAGS = ("--debug",)
_WITH_VALUE = ("--config",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns 0 done, 1 the thing asked for failed, 2 bad usage or configuration, 130 ended by Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [WITH_PARENT]:
        del arguments[0]
        end_with_parent()
    arguments = hoisted(arguments or ["--help"])
    debug = "--debug" in arguments[: _end_of_globals(arguments)]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough. Nothing must be flushed into the closed pipe at exit, either.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as ended:
        # Typer and rich answer a closed pipe so, each in its own way.
        return 0 if isinstance(ended.__context__, BrokenPipeError) else BAD_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        code, line = explained(error)
        remark(f"seats: {line}")
    return code


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options in front, wherever they stood before a ``--``."""
    globals_: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            rest += [argument, *waiting]
            break
        if argument in _FLAGS or argument.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            globals_.append(argument)
        elif argument in _WITH_VALUE:
            globals_ += [argument, *waiting[:1]]
            del waiting[:1]
        else:
            rest.append(argument)
    return [*globals_, *rest]


def _end_of_globals(arguments: Sequence[str]) -> int:
    return next((index for index, word in enumerate(arguments) if not word.startswith("-")), len(arguments))


def _run(arguments: list[str]) -> int:
    from worker.cli.app import command

    code = command().main(arguments, prog_name="seats", standalone_mode=False)
    return code if isinstance(code, int) else 0


def explained(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error that ended a command."""
    import typer

    from worker.embedded import EmbeddedError
    from worker.settings import ConfigError

    # Typer's own UsageError is found through its public subclass: releases differ in where they keep it.
    usage: type[Exception] = typer.BadParameter.__mro__[1]
    if isinstance(error, CommandError):
        return error.code, _line(str(error))
    if isinstance(error, ConfigError):
        return BAD_USAGE, str(error)
    if isinstance(error, usage):
        return BAD_USAGE, _usage_line(error)
    if isinstance(error, UnicodeEncodeError):
        return BAD_USAGE, "an argument is not UTF-8 text: check how it is written, and the locale"
    if isinstance(error, typer.Abort):
        return INTERRUPTED, "stopped"
    if isinstance(error, EmbeddedError):
        return FAILED, _line(str(error))
    return FAILED, _other(error)


def _usage_line(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "seats"
    said = _line(error.format_message() if hasattr(error, "format_message") else str(error)).rstrip(".")
    return f"{said[:1].lower()}{said[1:]}: see `{path} --help`"


def _other(error: Exception) -> str:
    """Errors of the store are loaded with the store; here they are told by where they come from."""
    module = type(error).__module__
    text = _line(str(error)) or type(error).__name__
    if module == "worker.store.errors":
        unavailable = type(error).__name__ == "StoreUnavailable"
        return f"{text.rstrip('.')}: check SEATS_REDIS_URL and that the server runs" if unavailable else text
    if module.startswith("worker."):
        return text
    if isinstance(error, OSError):
        return f"{text}: check that it exists and that this user may use it" if error.filename else text
    return f"an unforeseen {type(error).__name__}: {text}: run it again with --debug for the traceback"


def _line(text: str) -> str:
    return " ".join(text.split())
