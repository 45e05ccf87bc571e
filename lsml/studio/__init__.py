"""Label Studio's own API, and its data as lsml reads it: tokens, annotated tasks, files."""
