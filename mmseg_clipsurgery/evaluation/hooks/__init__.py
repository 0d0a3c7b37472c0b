"""Hooks of MMSeg's test loop, one idea a file; `registration` registers them."""
