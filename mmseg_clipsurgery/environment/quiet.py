"""Third parties imported without what they print: it goes to the log `mmseg_clipsurgery` at debug level.

MMSeg's fork prints "Could not import OneDL" twice, and mmcv without compiled operators warns of a module that nothing
here uses. Whoever wants to see it: `logging.getLogger('mmseg_clipsurgery').setLevel(logging.DEBUG)`.
"""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterable

logger = logging.getLogger('mmseg_clipsurgery')


def import_quietly(names: Iterable[str]) -> None:
    """Import modules; what they print and warn of is logged, each line once."""
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        for name in names:
            importlib.import_module(name)
    lines = [*printed.getvalue().splitlines(), *(str(warning.message) for warning in caught)]
    for line in dict.fromkeys(line.strip() for line in lines if line.strip()):
        logger.debug('on import: %s', line)
