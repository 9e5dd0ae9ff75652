"""captum-featinv gallery: the page that shows an atlas."""

import argparse
from pathlib import Path

from captum_featinv.cli.telling import tell
from captum_featinv.studies.gallery import write_gallery


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="of an atlas; index.html is written into it"
    )
    parser.add_argument(
        "--sheets",
        action="store_true",
        help="write each layer's textures on one sheet too, gallery/sheets/LAYER.png",
    )


def _run(options: argparse.Namespace) -> None:
    tell(f"wrote {write_gallery(options.folder, sheets=options.sheets)}")
