"""What ends a command: a single line on standard error and an exit code."""

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130


class CommandError(Exception):
    """The command can't do what was asked. The text is one line: what is wrong, and what to do about it."""

    code = FAILED


class UsageProblem(CommandError):
    """The command was called in a way that can't be meant."""

    code = BAD_USAGE


class Interrupted(CommandError):
    """Ctrl-C ended the command; there is something to say about where it stands."""

    code = INTERRUPTED
