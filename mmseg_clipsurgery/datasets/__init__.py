"""Data sets that MMSeg lacks, and the checks and converters of all of them; importing it registers them."""

from . import definitions, loading

__all__ = ['definitions', 'loading']
