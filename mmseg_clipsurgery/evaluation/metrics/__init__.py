"""Metrics of MMSeg's test loop and the maths below them; `registration` registers the metrics."""
