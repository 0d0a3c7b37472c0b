"""From images and text queries to labels: predictor, windows, tiled logits, post-processing. No MMSeg."""
