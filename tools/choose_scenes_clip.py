#!/usr/bin/env python
"""Of several trained scenes CLIPs, write the one that does best on `dev`, with a card of them all.

    python tools/choose_scenes_clip.py work_dirs/scenes_clip_*/model --out mmseg_clipsurgery/resources/scenes

Each folder is one that `train_scenes_clip.py` wrote; they may differ in their seed alone. After the choice all are
measured on `val` and `heldout`: mean and spread (the standard deviation between seeds) stand in the card.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.environment.command_line import CommandParser
from mmseg_clipsurgery.environment.mistakes import guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Choose with these arguments (default: the command line's); the exit code."""
    parser = CommandParser(description=(__doc__ or '').partition('\n\n')[0])
    parser.add_argument('folders', nargs='+', type=Path, help='models, one a seed')
    parser.add_argument('--out', required=True, type=Path, help='folder for the chosen one')
    parser.add_argument('--scenes', type=int, metavar='N', help='only the first N of each split')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    arguments = parser.parse_args(argv)
    return guarded(lambda: choose(arguments), arguments.debug)


def choose(arguments: argparse.Namespace) -> None:
    """Write the best on `dev`.

    Args:
        arguments: of `main`.

    Raises:
        ValueError: the folders' cards are of other scenes, or of runs that differ in more than their seed.
    """
    from mmseg_clipsurgery.scenes import spec

    from scenes_clip.cards import card_of_all, check_runs
    from scenes_clip.model import make_tokenizer, read_card, read_model, write_folder
    from scenes_clip.scores import ScenesOfSplit
    from scenes_clip.sinks import sink_channels

    logging.getLogger('mmseg_clipsurgery').setLevel(logging.ERROR)  # that weights are random is no news here
    cards = [read_card(folder) for folder in arguments.folders]
    check_runs(cards)
    models = [read_model(folder) for folder in arguments.folders]
    measured: list[dict] = [{} for _ in models]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = make_tokenizer(Path(folder))
    scenes = {
        split: ScenesOfSplit(split, tokenizer, min(arguments.scenes or count, count), 'cpu')
        for split, count in spec.SCENES.items()
    }
    for split in ('val', 'heldout'):
        for found, model in zip(measured, models, strict=True):
            found[split] = scenes[split].scores(model)
    place, card = card_of_all(cards, measured)
    (square,) = [group for group in scenes['dev'].groups if group.masks.shape[1:] == spec.TRAINING_SIZE]
    card['sinks'] = sink_channels(models[place], square.images.split(50))
    write_folder(arguments.out, models[place].state_dict(), card)


if __name__ == '__main__':
    sys.exit(main())
