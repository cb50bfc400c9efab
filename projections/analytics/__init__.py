"""Views for analysts: one SQL file each, whose head says what it answers; applied whenever tables are set up."""
