"""Driver scores."""

from dispatch.metrics.form import Section

SECTION = Section("Driver scores", ("scores",))

SCORED = SECTION.gauge("baton_driver_scores", "Drivers with a score.")
TOLD = SECTION.counter("baton_driver_scores_told_total", "Driver scores published.")
SKIPPED = SECTION.counter("baton_driver_scores_skipped_total", "Events that could not be read and were not counted.")
