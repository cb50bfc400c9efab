"""Replay: every decision decided again from what was recorded with it, by the real core.

`verify` compares with the log, `show` and `explain` say what was so at a moment and why, `diff` decides the same under
another policy or another version of the code, `shadow` does so live, `bundle` carries an incident to another machine.
The core decides; nothing here does. What is decided again is written nowhere but to topics of its own.
"""
