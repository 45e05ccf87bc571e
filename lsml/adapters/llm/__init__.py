"""llm: a language model behind any OpenAI-compatible endpoint. In: a text; out: the model's answers, checked."""
