"""What a stranger named, on a terminal: a name must neither move the cursor nor add a line."""


def plain(text: str) -> str:
    """The text with every character that is not printed by itself written as its escape."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
