"""Data sets that MMSeg lacks, and the checks and converters of all of them."""
