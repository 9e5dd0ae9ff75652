"""What a command says: on stdout what was asked for, on stderr what came in between."""

import sys


def tell(text: str) -> None:
    """What was asked for, in lines; names of files and layers bring no escape sequences along."""
    print("\n".join(_printable(line) for line in text.split("\n")))  # noqa: T201


def say(text: str) -> None:
    """One line to the user, whatever the text's own line breaks."""
    print(f"captum-featinv: {_printable(' '.join(text.split()))}", file=sys.stderr)  # noqa: T201


def _printable(line: str) -> str:
    return "".join(letter for letter in line if letter.isprintable())
