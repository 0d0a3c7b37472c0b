#!/usr/bin/env python
"""Judge similarity maps: `python tools/explain.py --help`; see `mmseg_clipsurgery/cli/explain.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.explain import main

if __name__ == '__main__':
    sys.exit(main())
