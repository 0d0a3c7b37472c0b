#!/usr/bin/env python
"""Evaluate a segmentor: `python tools/test.py CONFIG [CHECKPOINT]`; see `mmseg_clipsurgery/test.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.test import main

if __name__ == '__main__':
    sys.exit(main())
