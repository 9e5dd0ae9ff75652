"""The command line. What it takes is in `parsing`, what it does in `commands`, one file a command."""

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from captum_featinv.cli.parsing import parser
from captum_featinv.cli.stopping import stopping
from captum_featinv.cli.telling import say, tell
from captum_featinv.cli.watching import shown
from captum_featinv.errors import FeatInvError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when all went well, 2 after an error, which is one line on stderr; 130 after Ctrl-C and 143
        after SIGTERM, with what was finished until then in its files.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(words)
    options.words = words  # as they were typed, for the record in what is written
    with stopping() as stop, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        try:
            with shown(quiet=options.quiet):
                # Here, and not above: asking for help needs no second of torch.
                command = import_module(f"captum_featinv.cli.commands.{options.command}")
                text = command.run(options)
            if not options.quiet:
                tell(text)
                sys.stdout.flush()
        except KeyboardInterrupt:
            say("interrupted: nothing more is written, and what was there stays")
            return stop.exit_code
        except BrokenPipeError:
            # Whoever read has had enough, such as `head`; Python would complain once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except Exception as error:
            if options.traceback:
                raise
            if isinstance(error, FeatInvError | OSError):
                say(f"error: {error}")
                return 2
            say(f"error: {type(error).__name__}: {error} (--traceback shows where)")
            return 2
        return 0 if stop.signal is None else stop.exit_code
