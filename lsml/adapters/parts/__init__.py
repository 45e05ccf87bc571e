"""Parts that several adapters share: features, heads, fine-tuning, and the saving of models."""
