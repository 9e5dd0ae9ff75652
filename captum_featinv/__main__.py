"""`python -m captum_featinv` is `captum-featinv`."""

import sys

from captum_featinv.cli import main

if __name__ == "__main__":
    sys.exit(main())
