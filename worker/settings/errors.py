"""What can be wrong with a setting. No text here ever carries the value of a secret."""


class ConfigError(Exception):
    """One setting is wrong.

    ``str()`` is a single line that a person can act on. ``setting`` is the name as the user wrote it: the environment
    variable, or ``key in path/to/file.toml``.
    """

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        self.setting = setting
        self.problem = problem
        self.remedy = remedy
        super().__init__(setting, problem, remedy)

    def __str__(self) -> str:
        return " ".join(f"{self.setting} {self.problem}: {self.remedy}".split())


class Problem(ValueError):
    """What is wrong with a value, before it is known under which name the user gave it.

    ``field`` names the setting at fault where a check looked at several of them.
    """

    def __init__(self, problem: str, remedy: str, *, field: str | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.field = field
        super().__init__(f"{problem}: {remedy}")
