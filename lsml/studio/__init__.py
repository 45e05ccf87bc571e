"""Label Studio's own API, and what lsml reads through it: tokens, annotated tasks, files."""
