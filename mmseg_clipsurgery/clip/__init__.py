"""The one door to open_clip: sources, checkpoints, towers, tokenizer, text encoder."""
