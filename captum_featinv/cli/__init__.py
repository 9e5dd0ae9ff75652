"""The command line: one command a file, each with an `add(parser)`."""

import argparse
import warnings
from collections.abc import Sequence

from captum_featinv.cli import (
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
from captum_featinv.cli.stopping import stopping
from captum_featinv.cli.telling import say
from captum_featinv.errors import FeatInvError

_COMMANDS = {
    "invert": (invert.add, "textures of filters as a contact sheet"),
    "explain": (explain.add, "the filters behind a prediction, and their textures"),
    "compare": (compare.add, "the same filters under the methods of Captum, Lucent, DreamLens"),
    "atlas": (atlas.add, "the texture of every live filter of some layers, in a folder"),
    "restyle": (restyle.add, "a photo in the style of another picture"),
    "claims": (claims.add, "do the paper's claims hold for a network?"),
    "gallery": (gallery.add, "the page that shows an atlas"),
    "layers": (layers.add, "a model's layers: channels, stride, field"),
    "demo": (demo.add, "the picture of the README, on a real network"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when all went well, 2 after an error, which is one line on stderr; 130 after Ctrl-C and 143
        after SIGTERM, with what was finished until then in its files.
    """
    options = _parser().parse_args(arguments)
    with stopping() as stop, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        try:
            options.command(options)
        except KeyboardInterrupt:
            say("interrupted: nothing more is written, and what was there stays")
            return stop.exit_code
        except Exception as error:
            if options.traceback:
                raise
            if isinstance(error, FeatInvError | OSError):
                say(f"error: {error}")
                return 2
            say(f"error: {type(error).__name__}: {error} (--traceback shows where)")
            return 2
        return 0 if stop.signal is None else stop.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="captum-featinv", description="What does this filter of this CNN extract?"
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, text) in _COMMANDS.items():
        add(commands.add_parser(name, help=text))
    return parser
