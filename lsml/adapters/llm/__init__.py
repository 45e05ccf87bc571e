"""llm: a language model behind any OpenAI-compatible endpoint. In: a text; out: what the model says of it, checked."""
