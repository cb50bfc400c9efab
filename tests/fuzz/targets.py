"""Every target, by name."""

from tests.fuzz import of_files, of_replay, of_the_doors, of_the_log

TARGETS = {
    target.name: target
    for target in (*of_the_log.TARGETS, *of_the_doors.TARGETS, *of_files.TARGETS, *of_replay.TARGETS)
}
