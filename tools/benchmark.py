#!/usr/bin/env python
"""Measure what the package costs: `python tools/benchmark.py [--photos VOC_FOLDER] [--only SECTION] [--out FILE]`.

See `benchmarks/`, which is part of the checkout, not of the wheel.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def start() -> int:
    """Run it; threads that wait must not count as work, which torch's library reads as it is loaded."""
    if not (ROOT / 'benchmarks').is_dir():
        sys.exit('error: the benchmark needs the folder benchmarks/ beside tools/: run it from a checkout')
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    sys.path.insert(0, str(ROOT))
    from benchmarks.options import parse

    arguments = parse()
    from benchmarks import run

    return run.start(arguments)


if __name__ == '__main__':
    sys.exit(start())
