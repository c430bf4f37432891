"""Other people's text, as a terminal or a log may be given it."""


def printable(text: str) -> str:
    """``text`` with each character that would not be seen as itself written as its escape, such as ``\\u202e``.

    Those are control characters, line ends among them, which steer a terminal; the invisible ones, which turn around
    or hide what stands beside them; and halves of surrogate pairs, which can't be written at all.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
