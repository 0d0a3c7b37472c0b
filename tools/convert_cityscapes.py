#!/usr/bin/env python
"""Make the train ids of Cityscapes: `python tools/convert_cityscapes.py data/cityscapes`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.convert import cityscapes

if __name__ == '__main__':
    sys.exit(cityscapes())
