"""remote: any HTTP service as a model. In: a text or a file; out: values from its JSON response, by declared paths."""
