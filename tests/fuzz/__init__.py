"""Odd bytes for every decoder (`targets`, led by `guided`) and odd requests for every door (`over_http`)."""

from tests.fuzz.over_http import command, environment

__all__ = ["command", "environment"]
