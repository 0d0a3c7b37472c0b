"""`calibrate` on folders and on configs: the settings do what they promise, and go where they are to be used."""

import json
from pathlib import Path

from mmseg_clipsurgery import load, scenes
from mmseg_clipsurgery.__main__ import main

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.mmseg
WORDS = ('background', *scenes.OBJECTS)
DEV = ('--split', 'ImageSets/Segmentation/dev.txt')


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six dev scenes, which show every object twice, grounds labelled as background."""
    for index in (0, 17, 80, 107, 118, 119):
        scene = scenes.draw_scene('dev', index)
        for kind, pixels in (('photos', scene.image), ('masks', np.where(scene.mask < 8, scene.mask + 1, 0))):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / kind / f'{index}.png')
    return tmp_path


def ask(folder: Path, *words) -> int:
    given = [str(folder / 'photos'), '--masks', str(folder / 'masks'), '--arch', 'scenes', '--device', 'cpu']
    return main(['calibrate', *given, '--out', str(folder / 'calibration.json'), *map(str, words)])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--out', ''], "got '' where a path is expected"),
        (['--out', '.'], '--out . is a folder; give a file'),
        (['--out', '/dev/null/a.json'], '/dev/null is no folder'),
    ],
    ids=['empty', 'folder', 'below a file'],
)
def test_where_nothing_can_be_written_is_told_before_the_run(tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.setattr('mmseg_clipsurgery.cli.calibrate.of_folder', lambda arguments: pytest.fail('ran'))
    assert main(['calibrate', 'a.png', '--masks', 'masks', '--words', 'cat', *options]) == 1
    assert message in capsys.readouterr().err


def test_fewer_than_two_images_are_refused(capsys):
    assert main(['calibrate', '--config', 'clipsurgery_scenes', *DEV, '--images', '-1']) == 1
    assert '--images must be a whole number >= 2' in capsys.readouterr().err


def mean_iou(results, folder: Path) -> float:
    """mIoU in percent of results, in the order of the masks."""
    masks = [np.asarray(Image.open(path)) for path in sorted((folder / 'masks').iterdir())]
    labels, truth = (
        np.concatenate([part.ravel() for part in parts]) for parts in ([r.labels for r in results], masks)
    )
    ious = [
        ((labels == k) & (truth == k)).sum() / max(1, ((labels == k) | (truth == k)).sum()) for k in range(9)
    ]
    return 100 * float(
        np.mean([iou for k, iou in enumerate(ious) if (truth == k).any() or (labels == k).any()])
    )


@pytest.mark.slow
def test_settings_of_a_folder_gain_where_they_are_used(folder, capsys):
    assert ask(folder, '--words', *WORDS) == 0
    file = folder / 'calibration.json'
    record = json.loads(file.read_text())
    said = capsys.readouterr().out
    assert record['images'] == 6
    assert record['held_out']['background']['gain'] > 0
    assert f'gain {record["held_out"]["background"]["gain"]:+.2f} +- ' in said
    model, paths = load('scenes', text_cache=False), sorted((folder / 'photos').iterdir())
    calibrated = model.segment(paths, list(WORDS), calibration=file)
    assert mean_iou(calibrated, folder) > mean_iou(model.segment(paths, list(WORDS)), folder)
    by_hand = model.segment(
        paths, list(WORDS), **{name: value or None for name, value in record['background'].items()}
    )
    assert all(
        np.array_equal(one.labels, other.labels) for one, other in zip(calibrated, by_hand, strict=True)
    )
    command = ['segment', str(paths[0]), '--arch', 'scenes', '--device', 'cpu', '--out', str(folder / 'out')]
    assert main([*command, '--words', *WORDS, '--calibration', str(file)]) == 0
    assert np.array_equal(Image.open(folder / 'out' / f'{paths[0].stem}_labels.png'), calibrated[0].labels)
    one = model.segment(paths[0], ['fish'], calibration=file)
    assert np.array_equal(
        one.labels, model.segment(paths[0], ['fish'], threshold=record['one_word']['threshold']).labels
    )


@pytest.mark.slow
def test_a_config_is_calibrated_and_its_results_say_so(tmp_path, capsys):
    from mmseg_clipsurgery.evaluation import evaluate
    from mmseg_clipsurgery.leaderboard.completeness import figure_note

    file = tmp_path / 'calibration.json'
    few = ['--images', '24', '--check', 'ImageSets/Segmentation/heldout.txt']
    options = ['--cfg-options', 'test_dataloader.dataset.indices=24']
    assert (
        main(['calibrate', '--config', 'scenes', *DEV, *few, *options, '--device', 'cpu', '--out', str(file)])
        == 0
    )
    assert 'images of ImageSets/Segmentation/heldout.txt: mIoU ' in capsys.readouterr().out
    record = json.loads(file.read_text())
    assert record['classes'] == list(scenes.CLASSES)
    assert record['background'] is None
    changes = {'model.test_cfg.calibration': str(file), 'model.text_encoder.vocabulary': ['fish']}
    with pytest.raises(ValueError, match='is of surgery clip_surgery, got sclip'):
        evaluate(
            'clipsurgery_scenes', options={**changes, 'model.backbone.surgery': 'sclip'}, work_dir=tmp_path
        )
    note = figure_note({'protocol': {'calibrated on': '24 images of dev.txt'}})
    assert note == 'calibrated on 24 images of dev.txt'


MISTAKES = {
    'the split of the test': (
        ['--config', 'scenes', '--split', './ImageSets/Segmentation/val.txt'],
        'is the split that the config is evaluated on',
    ),
    'a check on the same split': (
        ['--config', 'scenes', *DEV, '--check', './ImageSets/Segmentation/dev.txt'],
        'is the split that calibrates; check on another one',
    ),
    'no such split': (
        ['--config', 'scenes', '--split', 'none.txt'],
        'the split file none.txt of ScenesDataset does not exist',
    ),
    'no mask': (['@', '--words', *WORDS, '--masks', 'nowhere'], '--masks nowhere is no folder'),
    'a label too many': (['@', '--words', *WORDS[:4]], 'holds the label'),
    'a class without a pixel': (
        ['@', '--words', *WORDS, 'anemone'],
        "the class 'anemone' has no labelled pixel in the 6",
    ),
    'two surgeries': (
        ['@', '--words', *WORDS, '--surgery', 'clip', 'sclip'],
        'a calibration is of one surgery',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(('words', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(folder, capsys, words, message):
    if words[0] == '@':
        assert ask(folder, *words[1:]) == 1
    else:
        assert main(['calibrate', *words, '--out', str(folder / 'calibration.json')]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith('error: ')
    assert message in last
    assert not (folder / 'calibration.json').exists()


def test_thresholds_beside_a_calibration_are_refused(tmp_path, capsys):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    command = [
        'segment',
        str(tmp_path / 'a.png'),
        '--words',
        'cat',
        '--calibration',
        'x.json',
        '--out',
        str(tmp_path),
    ]
    assert main([*command, '--prob-thd', '0.5']) == 1
    assert '--calibration brings thresholds; leave --prob-thd out' in capsys.readouterr().err
    assert main([*command, '--surgery', 'clip', 'sclip']) == 1
    assert '--calibration is of one surgery; give one --surgery' in capsys.readouterr().err
    assert main(command) == 1
    assert 'the calibration x.json does not exist' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'give PHOTO, --masks and --words, or --config and --split'),
        (
            ['photo.jpg', '--masks', 'masks', '--words', 'a', '--images', '3'],
            '--images and --cfg-options go with --config',
        ),
        (['--config', 'scenes'], 'give --config with --split'),
        (['--config', 'scenes', *DEV, '--surgery', 'sclip'], 'changed by --cfg-options'),
    ],
    ids=['nothing', 'a number of photos', 'no split', 'a surgery beside a config'],
)
def test_options_that_do_not_go_together(capsys, words, message):
    with pytest.raises(SystemExit) as refused:
        main(['calibrate', *words])
    assert refused.value.code == 2
    assert message in capsys.readouterr().err
