"""captum-featinv gallery: the page that shows an atlas."""

import argparse

from captum_featinv.studies.gallery import write_gallery


def run(options: argparse.Namespace) -> str:
    """Write the page."""
    return f"wrote {write_gallery(options.folder, sheets=options.sheets)}"
