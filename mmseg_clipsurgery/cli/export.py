"""`mmseg-clipsurgery export`: a config's segmentor as a checkpoint, which MMSeg's own tools insist on."""

import argparse
from collections.abc import Sequence

from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from ..environment.stack import require_mmseg
from .common import add_config_options, add_debug_option, add_import_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: the command line's); the exit code."""
    parser = argparse.ArgumentParser(
        prog='mmseg-clipsurgery export',
        description="Write a config's segmentor with its pretrained weights as a checkpoint.",
    )
    parser.add_argument('config', help='a config file or the name of a shipped one')
    parser.add_argument(
        'out', help='the checkpoint to write; .safetensors: a form without pickle, which tools/test.py reads'
    )
    add_config_options(parser)
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)

    def action() -> None:
        require_mmseg()
        from ..evaluation.configs import parse_options
        from ..export.checkpoint import export

        import_files(arguments.imports)
        export(arguments.config, arguments.out, parse_options(arguments.cfg_options))

    return guarded(action, arguments.debug)
