#!/usr/bin/env python
"""Do maps explain CLIP? `python tools/faithfulness.py --help`; see `mmseg_clipsurgery/cli/faithfulness.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.faithfulness import main

if __name__ == '__main__':
    sys.exit(main())
