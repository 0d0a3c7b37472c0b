"""The tasks on files and folders: what is written, resuming, unreadable files, labels and mAP, every mistake."""

import json
import os
import sys
from pathlib import Path

import photos
import tiny
import tiny_sam
from cases import slow_but
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.cli import photo_loop
from mmseg_clipsurgery.cli.options import read_others
from mmseg_clipsurgery.evaluation.metrics.average_precision import average_precision
from mmseg_clipsurgery.vocabulary import Vocabulary

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.mmseg

# 6 blocks, so that every surgery fits.
ARCH = tiny.changed(photos.ARCH, vision_cfg={'layers': 6, 'image_size': 24})
TASKS = {
    'segment': ['--words', 'cat', 'dog, puppy', 'grass'],
    'heatmaps': ['--words', 'cat', 'dog', 'grass'],
    'points': ['--word', 'cat+dog'],
    'recognise': ['--words', 'cat', 'dog', 'grass'],
    'explain-text': ['--text', 'a dog on grass'],
    'patch-query': ['--at', '10', '20'],
}
ALWAYS = {'points': {'.json'}, 'recognise': {'.json'}}


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    return photos.folder(tmp_path_factory.mktemp('clip'), ARCH)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three photos, one of them in a folder below, and a file that is none."""
    for seed, name in enumerate(('a.jpg', 'b.png', 'below/c.jpg')):
        photos.save(tmp_path / 'photos' / name, photos.photo(40, 52, seed))
    (tmp_path / 'photos' / 'notes.txt').write_text('no photo')
    return tmp_path / 'photos'


@pytest.fixture
def ask(clip, tmp_path, monkeypatch):
    """Runs a command on the tiny CLIP; the exit code. Embedded words are kept out of the user's cache."""
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))

    def run(task: str, *words, model=None, out='out') -> int:
        model = ('--arch', str(clip), '--templates', 'bare') if model is None else model
        own = ['--device', 'cpu', '--out', str(tmp_path / out)]  # before the words, which may say otherwise
        return main([task, *own, *model, *map(str, words)])

    return run


def written(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file()}


@pytest.mark.parametrize('task', slow_but(['segment'], TASKS))
def test_every_task_on_a_folder(ask, folder, tmp_path, capsys, task):
    assert ask(task, folder, *TASKS[task], '--json') == 0
    endings = [f'_{task}.png', f'_{task}.json', f'_{task}.origin.json'] + ['_labels.png'] * (
        task == 'segment'
    )
    expected = {name + ending for name in ('a', 'b', 'below/c') for ending in endings}
    assert written(tmp_path / 'out') == expected | {f'{task}.settings.json'}
    record = json.loads((tmp_path / 'out' / f'a_{task}.json').read_text(encoding='utf-8'))
    assert (record['height'], record['width'], record['task']) == (40, 52, task)
    assert record['surgery'] == 'clip_surgery'
    captured = capsys.readouterr()
    assert f'3 photos answered, results in {tmp_path / "out"}' in captured.out
    assert '3/3 images' in captured.err


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_json_and_figures_are_a_choice(ask, folder, tmp_path, task):
    assert ask(task, folder / 'a.jpg', *TASKS[task]) == 0
    results = {name for name in written(tmp_path / 'out') if name.startswith('a_')}
    kinds = {Path(name).suffix for name in results if not name.endswith('.origin.json')}
    assert kinds == {'.png'} | ALWAYS.get(task, set())
    assert ask(task, folder / 'a.jpg', *TASKS[task], '--no-figures', out='numbers') == 0
    assert f'a_{task}.png' not in written(tmp_path / 'numbers')
    assert len(written(tmp_path / 'numbers')) == 3  # the result, its origin, the settings


@pytest.mark.slow
@pytest.mark.parametrize('task', [task for task in TASKS if task != 'recognise'])
def test_surgeries_side_by_side(ask, folder, tmp_path, task):
    words = [task, folder / 'a.jpg', *TASKS[task], '--json']
    assert ask(*words) == 0
    assert ask(*words, '--surgery', 'clip', 'clip_surgery', 'naclip', out='three') == 0
    one, three = (Image.open(tmp_path / out / f'a_{task}.png') for out in ('out', 'three'))
    assert three.width > one.width
    record = json.loads((tmp_path / 'three' / f'a_{task}.json').read_text())
    assert list(record['surgeries']) == ['clip', 'clip_surgery', 'naclip']
    alone = json.loads((tmp_path / 'out' / f'a_{task}.json').read_text())
    assert record['surgeries']['clip_surgery'].items() <= alone.items()
    if task == 'segment':
        labels = {name for name in written(tmp_path / 'three') if 'labels' in name}
        assert labels == {f'a_labels_{name}.png' for name in record['surgeries']}


@pytest.mark.slow
def test_answers_are_those_of_the_python_interface(ask, clip, folder, tmp_path):
    assert (
        ask('segment', folder / 'a.jpg', *TASKS['segment'], '--min-presence', '0.01', '--short-side', 'own')
        == 0
    )
    model = load(str(clip), templates='bare', text_cache=False, short_side=None)
    answer = model.segment(folder / 'a.jpg', ['cat', ['dog', 'puppy'], 'grass'], min_presence=0.01)
    assert np.array_equal(Image.open(tmp_path / 'out' / 'a_labels.png'), answer.labels)
    assert ask('points', folder / 'a.jpg', *TASKS['points'], '--against', 'tree', '--short-side', '48') == 0
    found = json.loads((tmp_path / 'out' / 'a_points.json').read_text())
    model = load(str(clip), templates='bare', text_cache=False, explain_side=48)
    expected = model.points(folder / 'a.jpg', 'cat+dog', among=['tree'])
    assert found['point_coords'] == expected.xy.tolist()
    assert found['point_labels'] == expected.labels.tolist()


@pytest.mark.slow
def test_layer_is_that_of_the_python_interface_and_another_question(ask, clip, folder, tmp_path, capsys):
    words = ['segment', folder / 'a.jpg', *TASKS['segment'], '--surgery', 'sclip']
    assert ask(*words, '--layer', '4') == 0
    model = load(str(clip), templates='bare', text_cache=False, surgery='sclip', layer=4)
    answer = model.segment(folder / 'a.jpg', ['cat', ['dog', 'puppy'], 'grass'])
    assert np.array_equal(Image.open(tmp_path / 'out' / 'a_labels.png'), answer.labels)
    assert ask(*words) == 1
    assert 'holds results of a run with another --layer; give' in capsys.readouterr().err
    assert ask(*words, '--layer', '7', out='other') == 1
    assert 'layer is the number of a block, 1 to 6 of ' in capsys.readouterr().err


@pytest.mark.slow
def test_vocabulary_files_and_names(ask, folder, tmp_path):
    (tmp_path / 'words.txt').write_text('background: sky, wall\n猫, cat\nсобака\n', encoding='utf-8')
    words = [
        'segment',
        folder / 'a.jpg',
        '--vocabulary',
        tmp_path / 'words.txt',
        '--prob-thd',
        '0.1',
        '--json',
    ]
    assert ask(*words) == 0
    record = json.loads((tmp_path / 'out' / 'a_segment.json').read_text(encoding='utf-8'))
    assert record['classes'] == ['background', '猫', 'собака']
    assert '猫' in (tmp_path / 'out' / 'segment.settings.json').read_text(encoding='utf-8')
    assert ask('heatmaps', folder / 'a.jpg', '--vocabulary', 'scenes', '--json') == 0


@pytest.mark.slow
def test_one_photo_is_told(ask, folder, capsys):
    expected = {
        'segment': '%',
        'heatmaps': 'cat, dog, grass',
        'points': 'points are positive',
        'recognise': 'is there',
        'explain-text': 'cosine ',
        'patch-query': 'of its attention goes to patches',
    }
    for task, words in TASKS.items():
        assert ask(task, folder / 'a.jpg', *words) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if 'a.jpg: ' in line)
        assert expected[task] in line


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_named_at_the_end(ask, folder, tmp_path, capsys):
    (folder / 'broken.jpg').write_text('no photo')
    whole = (folder / 'a.jpg').read_bytes()
    (folder / 'cut.jpg').write_bytes(whole[: len(whole) // 2])
    os.symlink(tmp_path / 'nowhere.jpg', folder / 'dangling.jpg')
    assert ask('heatmaps', folder, *TASKS['heatmaps']) == 3
    captured = capsys.readouterr()
    assert '3 photos answered' in captured.out
    last = captured.err.splitlines()[-3:]
    assert [line.split()[2].rpartition('/')[2] for line in last] == ['broken.jpg', 'cut.jpg', 'dangling.jpg']
    assert {'a_heatmaps.png', 'b_heatmaps.png', 'below/c_heatmaps.png'} <= written(tmp_path / 'out')


def test_a_photo_too_small_for_the_question_is_named(ask, folder, capsys):
    photos.save(folder / 'small.png', photos.photo(5, 5))
    assert ask('patch-query', folder, *TASKS['patch-query']) == 3
    assert 'small.png: pixel (x, y) = (10, 20) lies outside' in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_goes_on_where_it_was(ask, folder, tmp_path, capsys):
    out = tmp_path / 'out'
    words = ['segment', folder, *TASKS['segment'], '--json']
    assert ask(*words) == 0
    before = {name: (out / name).stat().st_mtime_ns for name in written(out)}
    (out / 'a_labels.png').unlink()
    (out / 'b_segment.png').write_bytes((out / 'b_segment.png').read_bytes()[:-8])
    (out / 'below' / 'c_segment.json').write_text('{"half":')
    photos.save(folder / 'd.jpg', photos.photo(40, 52, 9))
    capsys.readouterr()
    assert ask(*words) == 0
    assert '4 photos answered' in capsys.readouterr().out  # three were not whole, one is new
    assert ask(*words) == 0
    assert (
        '0 photos answered, results in ' + str(out) + ', 4 were answered already' in capsys.readouterr().out
    )
    after = {name: (out / name).stat().st_mtime_ns for name in written(out)}
    same = {name for name in before if name.endswith('_segment.png') and before[name] == after[name]}
    assert same == set()
    times = dict(after)
    assert ask(*words) == 0
    assert {name: (out / name).stat().st_mtime_ns for name in times if 'settings' not in name} == {
        name: time for name, time in times.items() if 'settings' not in name
    }
    assert ask(*words, '--overwrite') == 0
    assert '4 photos answered' in capsys.readouterr().out.splitlines()[-1]
    assert (out / 'a_segment.png').stat().st_mtime_ns > times['a_segment.png']


@pytest.mark.slow
def test_answers_to_another_question_are_not_taken(ask, folder, tmp_path, capsys):
    assert ask('heatmaps', folder, '--words', 'cat', 'dog') == 0
    assert ask('heatmaps', folder, '--words', 'cat', 'car', '--form', 'paper') == 1
    error = capsys.readouterr().err.splitlines()[-1]
    changed = '--words or --vocabulary and --form'
    assert error.startswith(f'error: {tmp_path / "out"} holds results of a run with another {changed};')
    assert ask('heatmaps', folder, '--words', 'cat', 'car', '--overwrite') == 0
    assert ask('points', folder, '--word', 'cat') == 0  # another task lives beside


def other_photo(folder, clip) -> str:
    photos.save(folder / 'a.jpg', photos.photo(40, 52, 9))
    return 'answered again'


def labels_of_one_pixel(folder, clip) -> str:
    photos.save(folder.parent / 'out' / 'a_labels.png', np.zeros((1, 1), np.uint8))
    return 'answered again'


def empty_record(folder, clip) -> str:
    (folder.parent / 'out' / 'a_segment.json').write_text('{}')
    return 'answered again'


def empty_origin(folder, clip) -> str:
    (folder.parent / 'out' / 'a_segment.origin.json').write_text('[]')
    return 'answered again'


def other_templates(folder, clip) -> str:
    (folder.parent / 'templates.txt').write_text('a drawing of a {}.\n')
    return '--templates'


def other_weights(folder, clip) -> str:
    photos.folder(clip, ARCH, seed=7)
    return '--weights'


def other_statistics(folder, clip) -> str:
    photos.folder(clip, ARCH, mean=0.4)
    return 'model config (--arch, --weights, --quick-gelu)'


CHANGES = [
    other_photo,
    labels_of_one_pixel,
    empty_record,
    empty_origin,
    other_templates,
    other_weights,
    other_statistics,
]


@pytest.mark.slow
@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_results_of_another_origin_are_not_taken(ask, folder, tmp_path, capsys, change):
    clip, templates = photos.folder(tmp_path / 'own', ARCH), tmp_path / 'templates.txt'
    templates.write_text('a photo of a {}.\n')
    words = ['segment', folder / 'a.jpg', folder / 'b.png', *TASKS['segment'], '--json']
    words += [] if change is other_photo else ['--no-figures']
    model = ('--arch', str(clip), '--templates', str(templates))
    assert ask(*words, model=model) == 0
    changed = change(folder, clip)
    code = ask(*words, model=model)
    captured = capsys.readouterr()
    if changed == 'answered again':
        assert code == 0
        assert ': answered again), 1 were answered already' in captured.out.splitlines()[-1]
        code = 1
    else:
        assert f'holds results of a run with another {changed}; give another --out' in captured.err
    assert code == 1
    assert ask(*words, '--overwrite', model=model) == ask(*words, model=model, out='new') == 0
    for name in written(tmp_path / 'new'):
        assert (tmp_path / 'out' / name).read_bytes() == (tmp_path / 'new' / name).read_bytes(), name


@pytest.mark.slow
def test_another_opacity_is_another_question(ask, folder, capsys):
    assert ask('heatmaps', folder / 'a.jpg', *TASKS['heatmaps']) == 0
    assert ask('heatmaps', folder / 'a.jpg', *TASKS['heatmaps'], '--opacity', '0.3') == 1
    assert 'a run with another --opacity;' in capsys.readouterr().err


@pytest.mark.slow
def test_two_folders_with_equal_names(ask, folder, tmp_path, capsys):
    photos.save(tmp_path / 'others' / 'a.jpg', photos.photo(30, 44, 5))
    assert ask('segment', folder / 'a.jpg', *TASKS['segment']) == 0
    assert ask('segment', tmp_path / 'others', *TASKS['segment']) == 0
    assert '(1 with results of another photo: answered again)' in capsys.readouterr().out
    assert Image.open(tmp_path / 'out' / 'a_labels.png').size == (44, 30)


@pytest.mark.slow
def test_an_interrupted_overwrite_leaves_no_result_of_the_old_question(
    ask, folder, tmp_path, monkeypatch, capsys
):
    assert ask('heatmaps', folder, '--words', 'cat', 'dog') == 0
    with monkeypatch.context() as patch:
        patch.setattr('mmseg_clipsurgery.cli.photo_loop.decode_image', lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ask('heatmaps', folder, '--words', 'cat', 'car', '--overwrite')
    capsys.readouterr()
    assert ask('heatmaps', folder, '--words', 'cat', 'car') == 0
    assert '(3 with results of other settings: answered again)' in capsys.readouterr().out


@pytest.mark.slow
def test_photos_of_one_name_are_kept_apart(ask, folder, tmp_path, capsys):
    photos.save(folder / 'a.png', photos.photo(20, 20))
    assert ask('heatmaps', folder, *TASKS['heatmaps']) == 0
    assert {'a.jpg_heatmaps.png', 'a.png_heatmaps.png', 'b_heatmaps.png'} <= written(tmp_path / 'out')
    photos.save(tmp_path / 'other' / 'b.png', photos.photo(20, 20))
    assert ask('heatmaps', folder, tmp_path / 'other' / 'b.png', *TASKS['heatmaps'], out='o') == 1
    assert 'would both be named b.png; give the folder that holds both' in capsys.readouterr().err


@pytest.mark.slow
def test_answers_are_no_photos(ask, folder, tmp_path):
    out = tmp_path / 'photos' / 'out'
    for _ in range(2):
        assert ask('heatmaps', folder, *TASKS['heatmaps'], out=out) == 0
    assert len([name for name in written(out) if name.endswith('.png')]) == 3


LABELS = {
    'one column': 'image,labels\na.jpg,cat; dog\nb.png,dog\nbelow/c.jpg,\n',
    'a column for each word': '\ufeffimage, dog, cat\na.jpg,1,1\nb.png,1,0\nc.jpg,0,0\nunused.jpg,1,1\n',
}


@pytest.mark.slow
@pytest.mark.parametrize('text', LABELS.values(), ids=LABELS.keys())
def test_labels_give_mean_average_precision(ask, clip, folder, tmp_path, capsys, text):
    (tmp_path / 'labels.csv').write_text(text, encoding='utf-8')
    words = ['recognise', folder, *TASKS['recognise'], '--labels', tmp_path / 'labels.csv']
    model = load(str(clip), templates='bare', text_cache=False)
    names = ['a.jpg', 'b.png', 'below/c.jpg']
    scores = np.stack([model.recognise(folder / name, ['cat', 'dog', 'grass']).scores for name in names])
    present = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    expected = 100 * np.nanmean(average_precision(scores, present))
    for _ in range(2):  # the second time from the answers that are there
        assert ask(*words) == 0
        assert f'mAP {expected:.2f} by the softmax over the words, ' in capsys.readouterr().out
    result = json.loads((tmp_path / 'out' / 'recognise_mAP.json').read_text())
    assert result['mAP'] == pytest.approx(expected, abs=1e-3)
    assert [row['images'] for row in result['per_class']] == [1, 2, 0]


@pytest.mark.slow
def test_sam_draws_a_mask(ask, folder, tmp_path):
    transformers = pytest.importorskip(
        'transformers', reason='transformers, the extra [sam], is not installed'
    )
    sam = tiny_sam.make_sam(transformers, tmp_path / 'sam')
    assert ask('points', folder / 'a.jpg', '--word', 'cat', '--sam', sam) == 0
    assert np.asarray(Image.open(tmp_path / 'out' / 'a_mask.png')).shape == (40, 52)
    assert 'mask_score' in json.loads((tmp_path / 'out' / 'a_points.json').read_text())


def test_without_transformers(ask, folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    assert ask('points', folder, '--word', 'cat', '--sam', 'facebook/sam-vit-base') == 1
    assert 'mend it with: pip install "mmseg_clipsurgery[sam]"' in capsys.readouterr().err.splitlines()[-1]


SEGMENT = ['segment', '@', '--words', 'cat']


def csv(text: str, encoding: str = 'utf-8'):
    def make(tmp_path) -> list:
        (tmp_path / 'labels.csv').write_text(text, encoding=encoding)
        return ['recognise', '@', '--words', 'cat', 'dog', '--labels', tmp_path / 'labels.csv']

    return make


MISTAKES = {
    'no photo there': (lambda tmp: ['segment', tmp / 'no.jpg', '--words', 'cat'], 'no.jpg does not exist'),
    'a folder without photos': (lambda tmp: ['segment', tmp / 'cache', '--words', 'cat'], 'holds no photos'),
    'no such word file': (
        lambda tmp: ['segment', '@', '--vocabulary', 'no/words.txt'],
        'which is not a file',
    ),
    'no such vocabulary': (
        lambda tmp: ['segment', '@', '--vocabulary', 'vok'],
        "unknown vocabulary name 'vok'",
    ),
    'an empty word': (lambda tmp: ['segment', '@', '--words', 'cat', ''], 'got an empty word'),
    'an empty word file': (
        lambda tmp: ['segment', '@', '--vocabulary', tmp / 'empty.txt'],
        'empty vocabulary',
    ),
    'a word twice': (lambda tmp: ['segment', '@', '--words', 'cat', 'cat'], "two classes named 'cat'"),
    'opacity': (
        lambda tmp: ['segment', '@', '--words', 'cat', '--opacity', '60'],
        'opacity must lie between',
    ),
    'surgery': (lambda tmp: ['segment', '@', '--words', 'a', '--surgery', 'x'], "unknown surgery 'x'"),
    'no weights': (
        lambda tmp: [*SEGMENT, '--arch', 'ViT-B-16', '--weights', tmp / 'empty.txt'],
        'empty.txt holds no weights; give a file such as .safetensors',
    ),
    'no target': (lambda tmp: ['points', '@', '--word', '+'], 'give a word, or several joined by'),
    'no sentence': (lambda tmp: ['explain-text', '@', '--text', ' '], 'at least one word'),
    'surgeries of recognise': (
        lambda tmp: ['recognise', '@', '--words', 'a', 'b', '--surgery', 'clip', 'gem'],
        'give one --surgery',
    ),
    'no labels': (
        lambda tmp: ['recognise', '@', '--words', 'a', '--labels', tmp / 'n.csv'],
        'n.csv does not exist',
    ),
    'labels: first line': (csv('a.jpg,cat\n'), "must have a first line 'image,labels'"),
    'labels: empty': (csv(''), "must have a first line 'image,labels'"),
    'labels: unknown': (
        csv('image,labels\na.jpg,horse\n'),
        "has the label 'horse', which is not among the words",
    ),
    'labels: cell': (csv('image,cat\na.jpg,yes\n'), "'yes' where 0 or 1 is expected"),
    'labels: an image twice': (
        csv('image,labels\na.jpg,cat\na.jpg,dog\n'),
        "has the image 'a.jpg' more than once",
    ),
    'labels: a column twice': (csv('image,cat,cat\na.jpg,1,0\n'), "has the column 'cat' more than once"),
    'labels: cells': (csv('image,cat\na.jpg,1,1\n'), 'has 3 cells, the first line has 2'),
    'labels: UTF-16': (
        csv('image,labels\na.jpg,cat\n', 'utf-16'),
        'labels.csv is not UTF-8 text; save it as UTF-8',
    ),
    'labels: Latin-1': (
        csv('image,labels\na.jpg,\xe9\n', 'latin-1'),
        'labels.csv is not UTF-8 text; save it as',
    ),
    'no such device': (lambda tmp: [*SEGMENT, '--device', 'nope'], "the device 'nope' is not available"),
    'no computing device': (lambda tmp: [*SEGMENT, '--device', 'meta'], 'the device meta holds shapes'),
    'a photo among the words': (
        lambda tmp: ['segment', '@', '--words', 'cat', tmp / 'photos' / 'a.jpg'],
        "a.jpg' is a file; write photos before the options",
    ),
    'a photo for a word': (
        lambda tmp: ['segment', '--words', 'cat', tmp / 'photos' / 'a.jpg'],
        "a.jpg' was read as one of --words; write photos before the options",
    ),
    'a folder for a surgery': (
        lambda tmp: ['segment', '--words', 'cat', '--surgery', 'clip', tmp / 'photos'],
        'was read as one of --surgery; write photos before the options',
    ),
    'the background alone': (lambda tmp: ['segment', '@', '--words', 'background'], "got 'background' alone"),
    'an unknown home': (lambda tmp: ['segment', '~nobody_here/x', '--words', 'a'], 'a user who is not known'),
    'words in an unknown home': (
        lambda tmp: ['segment', '@', '--vocabulary', '~nobody_here/x'],
        'a user who is not known',
    ),
    'a long path': (lambda tmp: ['segment', 'x' * 5000, '--words', 'a'], 'is a path of 5000 characters'),
    'a long path of results': (lambda tmp: [*SEGMENT, '--out', 'x' * 5000], 'is a path of 5000 characters'),
    'results in a file': (
        lambda tmp: [*SEGMENT, '--out', tmp / 'empty.txt'],
        'empty.txt is no folder; give a folder',
    ),
    'results below a file': (
        lambda tmp: [*SEGMENT, '--out', tmp / 'empty.txt' / 'below'],
        'empty.txt is no folder; give a folder',
    ),
    'results nowhere': (lambda tmp: [*SEGMENT, '--out', ''], "got '' where a path is expected"),
    'a URL': (lambda tmp: ['segment', 'https://a.org/b.jpg', '--words', 'a'], 'is a URL; download it'),
    'half a surrogate pair': (
        lambda tmp: ['explain-text', '@', '--text', 'a \udce9'],
        'no character of a text',
    ),
    'a null character': (lambda tmp: ['points', '@', '--word', 'a\0'], 'no character of a text'),
    'a size without end': (
        lambda tmp: [*SEGMENT, '--short-side', '1000000'],
        '--short-side must be at most 8192 pixels',
    ),
    'bits': (lambda tmp: [*SEGMENT, '--bit-depth', '32'], '--bit-depth must be from 8 to 16'),
    'labels: missing': (csv('image,labels\na.jpg,cat\n'), '2 of 3 photos have no line in the file of labels'),
    'quick gelu': (
        lambda tmp: ['segment', '@', '--words', 'cat', '--quick-gelu', 'yes'],
        'contradictory activation',
    ),
}


@pytest.mark.parametrize(('words', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(ask, folder, tmp_path, capsys, words, message):
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'empty.txt').write_text('# nothing\n')
    assert ask(*[folder if word == '@' else word for word in words(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith('error: ')
    assert message in captured.err.splitlines()[-1]
    assert 'Traceback' not in captured.err
    assert not (tmp_path / 'out').exists()


ABSENT = {
    'segment': (['cat', 'dog'], 'it is labelled with the likeliest, '),
    'segment with a background': (['background: sky', 'cat', 'dog'], 'all of it is background'),
    'segment one word': (['cat'], 'all of it is background'),
    'heatmaps': (['cat', 'dog'], 'the map is that of '),
}


@pytest.mark.slow
@pytest.mark.parametrize('case', ABSENT)
def test_a_photo_without_any_of_the_words_is_named(ask, folder, tmp_path, capsys, case):
    (words, said), task = ABSENT[case], case.split()[0]
    given = [task, folder / 'a.jpg', folder / 'b.png', '--words', *words, '--json']
    assert ask(*given, '--min-presence', '1') == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if 'none of the words is present' in line]
    assert [line.partition(': ')[0] for line in lines] == [str(folder / 'a.jpg'), str(folder / 'b.png')]
    assert all(said in line for line in lines)
    assert json.loads((tmp_path / 'out' / f'a_{task}.json').read_text())['none_present']
    assert ask(*given, '--min-presence', '0', out='all') == 0
    assert 'none of the words' not in capsys.readouterr().err
    assert 'none_present' not in json.loads((tmp_path / 'all' / f'a_{task}.json').read_text())


def test_a_shard_that_answers_nothing_leaves_no_note(ask, tmp_path):
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'a.jpg').write_text('no photo')
    assert ask('heatmaps', tmp_path / 'bad', *TASKS['heatmaps'], '--shard', '0/2') == 3
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_synonyms_alone_are_told(ask, folder, capsys):
    assert ask('segment', folder / 'a.jpg', '--words', 'fish,car,water') == 0
    note = "note: 'fish,car,water' is one class, 'fish', with synonyms; classes are set apart by blanks: --words 'fish'"
    assert note in capsys.readouterr().err
    assert ask('segment', folder / 'a.jpg', '--words', 'fish: carp, trout', out='said') == 0
    assert 'note: ' not in capsys.readouterr().err


@pytest.mark.parametrize('model', [('--arch', 'ViT-B-16'), ('--arch', 'ViT-B-16', '--weights', 'no_tag')])
def test_random_weights_are_refused(ask, folder, capsys, model):
    assert ask('segment', folder, '--words', 'cat', model=model) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert 'add --weights, an open_clip tag or a file' in error or '--weights no_tag is neither' in error


@pytest.mark.parametrize(
    'words',
    [
        ['segment'],
        ['segment', 'a.jpg'],
        ['segment', 'a.jpg', '--words'],
        ['points', 'a.jpg'],
        ['explain-text', 'a.jpg'],
    ],
)
def test_options_that_argparse_refuses(words):
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2


@pytest.mark.parametrize('task', TASKS)
def test_help(task, capsys):
    with pytest.raises(SystemExit) as helped:
        main([task, '--help'])
    assert helped.value.code == 0
    assert '--surgery' in capsys.readouterr().out
    main([])
    assert f'\n  {task} ' in capsys.readouterr().out


def test_an_interrupted_run_says_how_to_go_on(ask, folder, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmseg_clipsurgery.cli.photo_loop.decode_image', stop)
    assert ask('heatmaps', folder, *TASKS['heatmaps']) == 130
    assert 'the same command goes on from here' in capsys.readouterr().err


def test_a_full_disk_is_no_unreadable_photo(ask, folder, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmseg_clipsurgery.cli.writer.save_picture', full)
    assert ask('heatmaps', folder, *TASKS['heatmaps']) == 1
    assert 'No space left on device' in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_strips_and_names_of_every_kind_are_answered(ask, tmp_path, capsys):
    folder = tmp_path / 'photos'
    photos.save(folder / 'strip.png', photos.photo(1, 300))
    photos.save(folder / 'long strip.png', photos.photo(1, 20000))
    photos.save(folder / f'{"x" * 242}.png', photos.photo())
    photos.save(folder / f'{"猫" * 80}.png', photos.photo())
    photos.save(folder / 'plain.png', photos.photo())
    os.rename(os.fsencode(folder / 'plain.png'), os.fsencode(folder) + b'/\xff\xfe.png')
    for expected in ('5 photos answered', '0 photos answered'):
        assert ask('segment', folder, *TASKS['segment'], '--json') == 0
        assert expected in capsys.readouterr().out
    records = [json.loads(path.read_bytes()) for path in (tmp_path / 'out').glob('*_segment.json')]
    assert {record['image'] for record in records} == {str(path) for path in folder.iterdir()}


def out_of_memory(*_):
    raise MemoryError


def out_of_cpu_memory(*_):
    raise RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    )


@pytest.mark.slow
@pytest.mark.parametrize('fail', [out_of_memory, out_of_cpu_memory])
@pytest.mark.parametrize('where', ['decode_image', 'Writer.figure'])
def test_a_photo_without_memory_takes_only_itself_along(ask, folder, monkeypatch, capsys, fail, where):
    module = 'mmseg_clipsurgery.cli.photo_loop.'
    right = getattr(photo_loop, where) if where == 'decode_image' else photo_loop.Writer.figure
    calls = iter((fail, right, right))
    monkeypatch.setattr(module + where, lambda *given: next(calls)(*given))
    assert ask('heatmaps', folder, *TASKS['heatmaps'], '--threads', '0') == 3  # calls in order
    captured = capsys.readouterr()
    assert '2 photos answered' in captured.out
    assert 'not answered: ' in captured.err.splitlines()[-1]
    assert 'a.jpg: ' in captured.err.splitlines()[-1]


@pytest.mark.slow
def test_skipped_files_are_named(ask, folder, capsys):
    assert ask('heatmaps', folder, *TASKS['heatmaps']) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f'skipped, no photos by their names (1): {folder / "notes.txt"}'


@pytest.mark.parametrize(
    ('task', 'words', 'message'),
    [
        (
            'segment',
            ['--words', 'cat', 'dog', '--logit-scale', 'nan'],
            '--logit-scale must be finite, got nan',
        ),
        pytest.param(
            'recognise',
            ['--words', 'cat', 'dog', '--logit-scale', '1e308'],
            'between 1e-30 and 1e+30',
            marks=pytest.mark.slow,
        ),
        ('segment', ['--words', 'cat', 'Cat'], "cannot tell 'cat' from 'Cat'"),
        pytest.param(
            'points', ['--word', 'cat', '--against', 'cat'], 'from itself alone', marks=pytest.mark.slow
        ),
    ],
    ids=['NaN', 'beyond fp32', 'twins', 'itself'],
)
def test_a_question_that_fails_on_every_photo_is_told_once(
    ask, folder, tmp_path, capsys, task, words, message
):
    assert ask(task, folder, *words, '--threads', '0') == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert [line for line in told if message in line] == told[-1:]
    assert not (tmp_path / 'out' / f'{task}.settings.json').exists()  # the corrected run may use the folder


WORDS_THAT_ARE_NONE = [
    'cat;dog',
    '["cat", "dog"]',
    'voc21',
    'a:',
    'cat|dog',
    'words.json',
    'photo.jpg',
    '{cat}',
]


@pytest.mark.parametrize('word', WORDS_THAT_ARE_NONE, ids=repr)
@pytest.mark.parametrize('option', ['--words', '--against'])
def test_words_that_are_lists_or_files_are_refused(ask, folder, capsys, option, word):
    given = [option, word, 'grass'] + (['--words', 'cat', 'dog'] if option == '--against' else [])
    assert ask('heatmaps', folder, *given) == 1
    assert f'error: the word {word!r} is' in capsys.readouterr().err


def test_others_are_read_as_words_are():
    assert read_others(['sofa, couch', 'a: b, c,']) == Vocabulary.read(
        {'sofa': ['sofa', 'couch'], 'a': ['b', 'c']}
    )


@pytest.mark.parametrize('option', ['--batch', '--threads'])
def test_more_than_any_machine_does_is_refused(ask, folder, capsys, option):
    assert ask('segment', folder, *TASKS['segment'], option, str(10**20)) == 1
    assert f'error: {option} must be a whole number from' in capsys.readouterr().err
