"""What the command line takes. Nothing here needs torch, so that help and mistakes cost no second."""

import argparse
from importlib.metadata import version
from typing import NoReturn

from captum_featinv.cli.parsing import (
    atlas,
    claims,
    compare,
    demo,
    explain,
    gallery,
    invert,
    layers,
    restyle,
)

_COMMANDS = {
    "demo": (demo.add, "the picture of the README, on a real network"),
    "invert": (invert.add, "textures of filters as a contact sheet"),
    "explain": (explain.add, "the filters behind a prediction, and their textures"),
    "compare": (compare.add, "the same filters under the methods of Captum, Lucent, DreamLens"),
    "restyle": (restyle.add, "a photo in the style of another picture"),
    "atlas": (atlas.add, "the texture of every live filter of some layers, in a folder"),
    "gallery": (gallery.add, "the page that shows an atlas"),
    "claims": (claims.add, "do the paper's claims hold for a network?"),
    "layers": (layers.add, "a model's layers: channels, stride, field"),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in two lines, rather than behind a page of usage."""

    def error(self, message: str) -> NoReturn:
        shown = "".join(letter for letter in message if letter.isprintable())
        self.exit(2, f"{self.prog}: error: {shown}\ntry: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Of all commands; `command` of what it parses is the name of the one that was asked for."""
    whole = _Parser(
        prog="captum-featinv",
        description="What does this filter of this CNN extract? Feature map inversion.",
        epilog="captum-featinv COMMAND --help says what a command takes.",
    )
    whole.add_argument(
        "--version", action="version", version=f"captum_featinv {version('captum_featinv')}"
    )
    _add_talk(whole, default=False)
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (add, text) in _COMMANDS.items():
        one = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add(one)
        _add_talk(one, argparse.SUPPRESS)
    return whole


def _add_talk(parser: argparse.ArgumentParser, default: bool | str) -> None:
    """Before the command's name or after it, where the default is not to undo what stood before."""
    parser.add_argument(
        "--quiet",
        action="store_true",
        default=default,
        help="no progress and no numbers, only warnings and errors",
    )
    parser.add_argument(
        "--traceback", action="store_true", default=default, help="show where an error came from"
    )
