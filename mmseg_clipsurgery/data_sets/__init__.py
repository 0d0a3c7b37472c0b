"""Data sets: the classes MMSeg lacks, loading, checks before a run, converters of masks."""
