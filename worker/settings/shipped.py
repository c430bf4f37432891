"""Where the files that ship with the program lie."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_config(name: str) -> Path:
    """The path of a file of ``config/``: the checkout's own, or the copy inside an installed wheel.

    Raises:
        FileNotFoundError: no such file is shipped.
    """
    # The wheel's copy first: beside an installed package, ../config could be anybody's.
    for folder in (_PACKAGE / "_config", _PACKAGE.parent / "config"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"config/{name} is not part of this installation")
