#!/usr/bin/env python
"""Make the masks of COCO-Stuff 164k and COCO-Object: `python tools/convert_coco.py data/coco_stuff164k`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.convert import coco

if __name__ == '__main__':
    sys.exit(coco())
