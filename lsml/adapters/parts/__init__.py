"""What several adapters share: features, heads, fine-tuning, and how models are saved."""
