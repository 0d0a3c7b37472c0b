"""From images and text queries to labels: windows, tiled logits, post-processing. No MMSeg."""
