"""What captum-featinv gallery takes."""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """An atlas."""
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="of an atlas; index.html is written into it"
    )
    parser.add_argument(
        "--sheets",
        action="store_true",
        help="write each layer's textures on one sheet too, gallery/sheets/LAYER.png",
    )
