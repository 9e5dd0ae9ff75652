"""The paper's claims as measurements: what is found, as numbers, tables and figures."""

from captum_featinv.studies.claims.findings import Claims
from captum_featinv.studies.claims.judge import Judge, LayerJudge, RandomJudge
from captum_featinv.studies.claims.measure import measure_claims
from captum_featinv.studies.claims.stages import stages
from captum_featinv.studies.claims.table import as_text

__all__ = [
    "Claims",
    "Judge",
    "LayerJudge",
    "RandomJudge",
    "as_text",
    "measure_claims",
    "stages",
]
