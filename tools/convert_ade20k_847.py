#!/usr/bin/env python
"""Make the images and masks of ADE20K-847: `python tools/convert_ade20k_847.py data/ade/ADE20K_2021_17_01`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.convert import ade20k_847

if __name__ == '__main__':
    sys.exit(ade20k_847())
