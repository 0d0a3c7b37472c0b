"""`mmseg-clipsurgery export`: a config's segmentor as a checkpoint, which MMSeg's own tools insist on."""

import argparse
from collections.abc import Sequence

from ..environment.mistakes import guarded
from ..environment.stack import require_mmseg


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: the command line's); the exit code."""
    parser = argparse.ArgumentParser(
        prog='mmseg-clipsurgery export',
        description="Write a config's segmentor with its pretrained weights as a checkpoint.",
    )
    parser.add_argument('config', help='a config file or the name of a shipped one')
    parser.add_argument('out', help='the checkpoint to write')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='change the config')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    arguments = parser.parse_args(argv)

    def action() -> None:
        require_mmseg()
        from ..evaluation.configs import parse_options
        from ..export.checkpoint import export

        export(arguments.config, arguments.out, parse_options(arguments.cfg_options))

    return guarded(action, arguments.debug)
