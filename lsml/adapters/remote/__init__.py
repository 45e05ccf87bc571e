"""remote: any HTTP service as a model. In: a text or a file; out: the values that its JSON answer holds, by declared paths."""
