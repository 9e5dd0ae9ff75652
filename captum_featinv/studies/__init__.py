"""Whole pieces of work on top of the front doors.

`import captum_featinv` does not come here, and nothing here needs an extra before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from captum_featinv.studies.claims import as_text, measure_claims
from captum_featinv.studies.compare import METHODS, compare
from captum_featinv.studies.compare_sheet import comparison_sheet
from captum_featinv.studies.comparison import Method
from captum_featinv.studies.exemplars import exemplars
from captum_featinv.studies.explain import explain, texture_stability
from captum_featinv.studies.explain_sheet import explanation_sheet
from captum_featinv.studies.rewrites import rewrite_sheet
from captum_featinv.studies.sheet import texture_sheet

if TYPE_CHECKING:
    from captum_featinv.studies.claims.figures import figures as claim_figures

__all__ = [
    "METHODS",
    "Method",
    "as_text",
    "claim_figures",
    "compare",
    "comparison_sheet",
    "exemplars",
    "explain",
    "explanation_sheet",
    "measure_claims",
    "rewrite_sheet",
    "texture_sheet",
    "texture_stability",
]


def __getattr__(name: str) -> Any:
    """What draws with matplotlib, an extra, is imported when it is asked for."""
    if name == "claim_figures":
        return import_module("captum_featinv.studies.claims.figures").figures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
