"""Hypothesis here draws the same cases every time, and as many as fit a test run."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "properties",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("properties")
