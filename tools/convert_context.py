#!/usr/bin/env python
"""Make the masks of PASCAL Context, 59 and 459 classes: `python tools/convert_context.py data/VOCdevkit/VOC2010`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.convert import context

if __name__ == '__main__':
    sys.exit(context())
