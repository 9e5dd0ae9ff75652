"""Judging a result: pure functions on codes and pictures."""
