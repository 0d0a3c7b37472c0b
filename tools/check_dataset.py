#!/usr/bin/env python
"""Check a data set before a run: `python tools/check_dataset.py voc20 --data-root data/VOCdevkit/VOC2012`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.check_dataset import main

if __name__ == '__main__':
    sys.exit(main())
