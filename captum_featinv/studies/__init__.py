"""Whole pieces of work on top of the front doors."""
