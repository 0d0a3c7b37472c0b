"""Data sets that MMSeg lacks, and the checks and converters of all of them; importing it registers them in MMSeg."""

from ..environment.stack import mmseg_installed

if mmseg_installed():
    from ..environment import mmseg_ready  # noqa: F401
    from . import definitions, loading  # noqa: F401
