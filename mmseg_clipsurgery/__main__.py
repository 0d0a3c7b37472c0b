"""`python -m mmseg_clipsurgery COMMAND ...` and the console script `mmseg-clipsurgery COMMAND ...`."""

import sys
from collections.abc import Sequence
from importlib import import_module

from mmseg_clipsurgery.version import __version__

# name: (module with a `main(arguments) -> exit code or None`, imported when it is called; what it does)
COMMANDS = {
    'doctor': (
        'mmseg_clipsurgery.environment.doctor',
        'check the environment; names each broken piece and its remedy',
    ),
    'segment': ('mmseg_clipsurgery.cli.segment', 'label every pixel of photos with words of your own'),
    'heatmaps': ('mmseg_clipsurgery.cli.heatmaps', 'draw where each word is in photos'),
    'points': ('mmseg_clipsurgery.cli.points', 'find points of a target for SAM; draw its mask with --sam'),
    'recognise': (
        'mmseg_clipsurgery.cli.recognise',
        'say which words photos hold; measure mAP with --labels',
    ),
    'explain-text': ('mmseg_clipsurgery.cli.explain_text', 'show which words and regions carry a match'),
    'patch-query': ('mmseg_clipsurgery.cli.patch_query', 'draw what one patch of a photo looks at'),
    'web': ('mmseg_clipsurgery.cli.web', 'open a page in the browser that does all of these with a click'),
    'calibrate': (
        'mmseg_clipsurgery.cli.calibrate',
        'choose thresholds by a few labelled images; say what they gain on others',
    ),
    'check-dataset': (
        'mmseg_clipsurgery.cli.check_dataset',
        'check the files of a data set before a run',
    ),
    'convert': (
        'mmseg_clipsurgery.cli.convert',
        'make the masks that COCO, Cityscapes, PASCAL Context and ADE20K-847 are evaluated with',
    ),
    'export': (
        'mmseg_clipsurgery.cli.export',
        "write a config's model as a checkpoint for MMSeg's own tools",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command's name and its own arguments; those of the process by default.

    Returns:
        The exit code: the command's own, 2 for an unknown one.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else '--help'
    if name in ('-h', '--help'):
        print(usage())
        return 0 if words else 2
    if name == '--version':
        print(f'mmseg-clipsurgery {__version__}')
        return 0
    if name not in COMMANDS:
        print(f'error: no command {name!r}; there are {", ".join(COMMANDS)}; see --help', file=sys.stderr)
        return 2
    return import_module(COMMANDS[name][0]).main(words[1:]) or 0


def usage() -> str:
    """The commands, one a line."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {purpose}' for name, (_, purpose) in COMMANDS.items()]
    return '\n'.join(
        ['usage: mmseg-clipsurgery COMMAND ...  (or python -m mmseg_clipsurgery COMMAND ...)', *lines]
    )


if __name__ == '__main__':
    sys.exit(main())
