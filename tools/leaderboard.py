#!/usr/bin/env python
"""Compare methods on data sets: `python tools/leaderboard.py --help`; see `mmseg_clipsurgery/cli/leaderboard.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.leaderboard import main

if __name__ == '__main__':
    sys.exit(main())
