"""Learning: annotations -> snapshot -> fitted and judged models -> a version. It knows no queue and no server."""
