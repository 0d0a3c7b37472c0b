"""`mmseg-clipsurgery calibrate`: thresholds from a few labelled images, and what they gain on images held out.

    calibrate PHOTOS... --masks DIR --words background cat dog      masks: DIR/<name>.png, labels number the words
    calibrate --config CONFIG --split ANN_FILE --images 10          an MMSeg config; not the split it is evaluated on

255 is the ignored label of masks. Classes of a config's data set that are no words are the background. What is written
(`inference.calibration_files`) is taken by `segment --calibration`, by `model.segment(..., calibration=FILE)` and by
configs as `model.test_cfg.calibration`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from ..environment.numbers import check_count
from ..environment.paths import file_to_write, user_path
from .common import (
    add_config_options,
    add_debug_option,
    add_import_option,
    add_overwrite_option,
    check_is_new,
)
from .options import add_model, add_words, check_there, read_words

if TYPE_CHECKING:
    from ..inference.calibration_run import Counts
    from ..vocabulary import Vocabulary

MODEL = ('arch', 'weights', 'surgery', 'guide', 'layer', 'templates', 'quick_gelu', 'short_side', 'bit_depth')


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate as the command line asks; the exit code."""
    parser = CommandParser(prog='mmseg-clipsurgery calibrate', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('photos', nargs='*', metavar='PHOTO', help='labelled photos, or folders of them')
    parser.add_argument('--masks', metavar='DIR', help='folder of their masks, PNG, named as the photos')
    parser.add_argument(
        '--config', help='in place of photos: an MMSeg config, a file or the name of a shipped one'
    )
    parser.add_argument('--split', help="the config's data set on this ann_file")
    parser.add_argument('--check', metavar='SPLIT', help='also measure on this split, which decides nothing')
    parser.add_argument('--images', type=int, metavar='N', help='take N images of the split (default: all)')
    parser.add_argument('--seed', type=int, default=0, help='by which they are drawn (default: %(default)s)')
    parser.add_argument('--out', default='calibration.json', metavar='FILE', help='(default: %(default)s)')
    add_overwrite_option(parser)
    add_words(parser.add_argument_group('words'), required=False)
    add_model(parser)
    add_config_options(parser)
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if not arguments.config and not (
        arguments.photos and arguments.masks and (arguments.words or arguments.vocabulary)
    ):
        parser.error('give PHOTO, --masks and --words, or --config and --split')
    of_config_alone = ('split', 'check', 'images', 'cfg_options')
    if not arguments.config and any(getattr(arguments, name) for name in of_config_alone):
        parser.error('--split, --check, --images and --cfg-options go with --config')
    if arguments.config and (arguments.photos or arguments.masks or not arguments.split):
        parser.error('give --config with --split and without photos and --masks')
    if arguments.config and any(getattr(arguments, name) != parser.get_default(name) for name in MODEL):
        parser.error(
            'with --config, the model is changed by --cfg-options, such as model.backbone.surgery=sclip'
        )
    return guarded(lambda: act(arguments), arguments.debug)


def act(arguments: argparse.Namespace) -> None:
    """Calibrate, print what is gained, write the file.

    Raises:
        ValueError, FileNotFoundError, ImportError: a user's mistake, in one sentence.
    """
    out = file_to_write(arguments.out, '--out')
    check_is_new(out, arguments.overwrite)
    if arguments.images is not None:
        check_count('--images', arguments.images, least=2)
    check_there(arguments.photos)  # before torch is imported
    from ..inference.calibration_run import calibrate, check_on

    import_files(arguments.imports)
    counted = of_config(arguments) if arguments.config else of_folder(arguments)
    source = arguments.split or user_path(arguments.masks).name
    found = calibrate(counted.counts, counted.vocabulary, source, counted.surgery)
    found.write(out)
    checked = {} if counted.checked is None else check_on(found, counted.checked)
    for kind, gain in found.held_out.items():
        settings = ', '.join(f'{name} {value:g}' for name, value in getattr(found, kind).items())
        name = kind.replace('_', ' ')
        print(
            f'{name}: mIoU {gain["default"]:.2f} -> {gain["calibrated"]:.2f} on images held out, gain '
            f'{gain["gain"]:+.2f} +- {gain["spread"]:.2f} over {gain["folds"]} folds; {settings}'
        )
        if checked:
            default, calibrated = checked[kind].values()
            print(
                f'{name}, {checked["images"]} images of {arguments.check}: mIoU {default:.2f} -> {calibrated:.2f}'
            )
    print(f'{found.images} labelled images, settings written to {arguments.out}')


class Counted(NamedTuple):
    """What was counted.

    Attributes:
        vocabulary, surgery: the words, the name of the surgery.
        counts: of the images that calibrate.
        checked: of those that only check; None: there are none.
    """

    vocabulary: 'Vocabulary'
    surgery: str
    counts: 'Counts'
    checked: 'Counts | None' = None


def of_folder(arguments: argparse.Namespace) -> Counted:
    """Count on photos and a folder of masks."""
    from ..api.labelled_photos import labelled_photos
    from ..inference.calibration_run import count
    from .files import find_photos
    from .models import load_models

    vocabulary, folder = read_words(arguments), user_path(arguments.masks)
    photos, _ = find_photos(arguments.photos, Path(arguments.out))
    if not folder.is_dir():
        raise FileNotFoundError(f'--masks {folder} is no folder; give the folder that holds the masks')
    pairs = [(photo.path, (folder / photo.relative).with_suffix('.png')) for photo in photos]
    for photo, mask in pairs:
        if not mask.is_file():
            raise FileNotFoundError(f'{photo} has no mask {mask}; add it, or leave the photo out')
    if len(arguments.surgery) > 1:
        raise ValueError('a calibration is of one surgery; give one --surgery')
    check_masks([mask for _, mask in pairs], vocabulary)
    (model,) = load_models(arguments, 'short_side').values()
    images = labelled_photos(model, pairs, vocabulary)
    predictor, embed = model.encoders.predictor(0.0), model.encoders.text.embed_words
    return Counted(vocabulary, model.surgery_name, count(predictor, embed, vocabulary, images))


def check_masks(masks: Sequence[Path], vocabulary: 'Vocabulary') -> None:
    """Find out before a model is loaded whether masks and words fit together.

    Raises:
        ValueError: a mask that can't be read or has a label of no word, or a word that no mask has a pixel of.
    """
    from ..api.labelled_photos import IGNORED, read_mask
    from ..inference.calibration import refuse_missing

    seen: set[int] = set()
    for mask in masks:
        seen |= set(read_mask(mask, vocabulary.num_classes).ravel().tolist()) - {IGNORED}
    missing = [name for label, name in enumerate(vocabulary.classes) if label not in seen]
    refuse_missing(missing, len(masks))


def of_config(arguments: argparse.Namespace) -> Counted:
    """Count on a split of a config's data set, and on the split that is to be checked."""
    from ..environment.stack import require_mmseg

    require_mmseg()
    from ..evaluation import calibration_data as data
    from ..evaluation.audit import config_of
    from ..evaluation.configs import check_parts, parse_options, read_config
    from ..evaluation.preflight import ignore_index_of
    from ..inference.calibration import refuse_missing
    from ..inference.calibration_run import count
    from ..vocabulary import Vocabulary
    from .models import device_of

    cfg = read_config(config_of(arguments.config), parse_options(arguments.cfg_options))
    check_parts(cfg, 'model', 'test_dataloader')
    data.check_split(cfg, arguments.split)
    if arguments.check:
        data.check_apart(arguments.split, arguments.check)
    splits = {arguments.split: data.build_split(cfg, arguments.split)}
    if arguments.check:
        splits[arguments.check] = data.build_split(cfg, arguments.check)
    segmentor = data.build_segmentor(cfg, device_of(arguments))
    names = splits[arguments.split].metainfo['classes']
    vocabulary = segmentor.vocabulary or Vocabulary.of([(name, [name]) for name in names])
    if arguments.words or arguments.vocabulary:
        vocabulary = read_words(arguments)
        wanted = vocabulary.classes[int(vocabulary.has_background) :]
        refuse_missing([name for name in wanted if name not in names], len(splits[arguments.split]))
    else:
        names = vocabulary.classes  # by their order, as in evaluation

    def counts_of(split: str, wanted: int | None) -> 'Counts':
        places = data.chosen(len(splits[split]), wanted, arguments.seed)
        images = data.labelled_images(cfg, segmentor, splits[split], places, names, vocabulary)
        embed = segmentor.text_encoder.embed_words
        return count(segmentor.predictor, embed, vocabulary, images, ignore_index_of(cfg))

    counts = counts_of(arguments.split, arguments.images)
    checked = counts_of(arguments.check, None) if arguments.check else None
    return Counted(vocabulary, segmentor.backbone.surgery.name, counts, checked)
