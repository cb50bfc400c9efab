"""Figures of this machine: programs that measure and print, beside a named peer where there is one. Not tests."""
