"""Learning: annotations -> snapshot -> trained and judged models -> a version. It needs no queue and no server."""
