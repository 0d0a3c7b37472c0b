"""Settings from Python, on the command line and in configs: numbers that are none, unknown keys, paths, devices.

Oracle: each setting has a rule that says which values are legal; what is accepted is legal and gives finite numbers,
and what is refused is not legal. Rules that depend on other settings are left out (None).
"""

import math
from pathlib import Path
from typing import Any

import mini_voc
import photos
import tiny
from campaign.inputs import ODD, Input, damaged, quietly, require
from campaign.kills import options
from mmseg_clipsurgery import test
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.surgery import Surgery

import numpy as np
from PIL import Image

WORDS = ['background', 'cat', 'grass']
TASKS = {
    'segment': ['--words', *WORDS],
    'heatmaps': ['--words', *WORDS],
    'points': ['--word', 'cat'],
    'recognise': ['--words', *WORDS],
}


def real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(
    least: float = -math.inf, most: float = math.inf, above: float = -math.inf, none: bool = False
) -> Any:
    """A rule: a finite number within bounds, or None where that is allowed."""
    return lambda value: (
        (none and value is None) or (real(value) and least <= value <= most and value > above)
    )


def count(least: int = 1, most: float = math.inf, none: bool = False, names: tuple = ()) -> Any:
    return lambda value: (
        (none and value is None) or value in names or (type(value) is int and least <= value <= most)
    )


def switch(value: Any) -> bool:
    return isinstance(value, bool)


ANY = None  # a rule that is not stated
SHARE = number(0, 1, none=True)
PYTHON = {
    'segment': {'logit_scale': number(above=0), 'prob_thd': SHARE, 'area_thd': SHARE, 'threshold': number(), 'pamr': ANY, 'scores': switch, 'min_presence': SHARE, 'feedback': ANY},
    'load': {'batch': count(), 'short_side': count(1, 8192, True, ('auto',)), 'explain_side': count(1, 8192, True, ('auto',)), 'window': ANY, 'stride': ANY, 'bit_depth': count(8, 16, True),
             'max_pixels': count(), 'quick_gelu': ANY, 'checksum': ANY, 'templates': ANY, 'surgery': ANY, 'guide': ANY, 'pretrained': ANY, 'arch': ANY},
    'test_cfg': {'mode': lambda value: value in ('whole', 'slide'), 'logit_scale': number(above=0), 'prob_thd': SHARE, 'area_thd': SHARE, 'window_batch': count(), 'scores': switch, 'maps': switch,
                 'compiled': switch, 'precision': lambda value: value in ('fp32', 'bf16', 'fp16', 'tf32'), 'chunk_memory': count(none=True), 'pad_windows': lambda value: switch(value) or count(0)(value), 'unknown': lambda value: False},
    'surgery': {'last_blocks': count(0), 'affinity': lambda value: value in ('vv', 'kk'), 'residual': switch, 'ffn': switch, 'position': lambda value: value == 'bilinear', 'unknown': lambda value: False, 'reads': ANY, 'constants': ANY, 'each_block': ANY},
}  # fmt: skip
GOOD = [
    1,
    2,
    8,
    40.0,
    0.5,
    0,
    True,
    False,
    None,
    'auto',
    'slide',
    'whole',
    'bf16',
    'vv',
    'kk',
    'bilinear',
    16,
    24,
    [3, 3],
    {'iterations': 1, 'dilations': [1, 2]},
    {'iterations': 1, 'dilations': [math.nan]},
]
TEXTS = [
    '1',
    '0.5',
    '40',
    'nan',
    'inf',
    '-inf',
    '-1',
    '0',
    '',
    ' ',
    'abc',
    '1e999',
    '1,2',
    '０.５',
    'True',
    'None',
    '9' * 400,
    'a\0b',
    '\udcff',
    '[1',
    '{}',
    '/nowhere/x',
    '~nobody-there/x',
    'a' * 5000,
    '/dev/null',
    '.',
    'own',
    'auto',
]
LINE = {'--opacity': (0, 1), '--logit-scale': (0, math.inf), '--prob-thd': (0, 1), '--area-thd': (0, 1), '--threshold': (-math.inf, math.inf), '--min-presence': (0, 1), '--bit-depth': (8, 16), '--max-pixels': (1, math.inf), '--short-side': (1, 8192),
        '--device': None, '--arch': None, '--weights': None, '--templates': None, '--surgery': None, '--out': None, '--import': None, '--vocabulary': None, '--guide': None, '--quick-gelu': None, '--labels': None, '--unknown': None}  # fmt: skip
KEYS = ['model.backbone.surgery', 'model.backbone.surgery.last_blocks', 'model.backbone.arch', 'model.backbone.type', 'model.backbone.unknown', 'model.pretrained', 'model.backbone.pretrained', 'model.text_encoder.vocabulary', 'model.text_encoder.templates',
        'model.test_cfg.logit_scale', 'model.test_cfg.mode', 'model.test_cfg.crop_size', 'model.test_cfg.stride', 'model.test_cfg.precision', 'model.test_cfg', 'model.type', 'model', 'test_dataloader.batch_size', 'test_dataloader.dataset.type', 'test_dataloader.dataset.ann_file',
        'test_dataloader.dataset.pipeline', 'test_dataloader.drop_last', 'test_evaluator.type', 'test_evaluator.ignore_index', 'test_evaluator.ignore_indx', 'test_evaluator', 'default_scope', 'custom_imports', 'load_from', 'work_dir', 'unknown', 'a.b.c', '']  # fmt: skip


def prepare() -> tuple[Any, Path]:
    from campaign import kills

    return photos.model(), prepared_data(kills)


def prepared_data(kills: Any) -> Path:
    """A tiny CLIP, a photo, and a data set of two images with the config of a test run."""
    data = tiny.folder() / 'settings'
    if not data.exists():
        photos.folder(
            data / 'clip',
            tiny.changed(photos.ARCH, vision_cfg={'layers': 6, 'image_size': 32, 'patch_size': 16}),
        )
        photos.save(data / 'photo.png', photos.photo(20, 24))
        mini_voc.make(data / 'voc', mini_voc.NAMES[:2])
        config = mini_voc.config(data / 'voc')
        config.model.test_cfg.update(crop_size=(32, 32), stride=(16, 16), prob_thd=None)
        config.dump(data / 'test.py')
    return data


def trial(context: Any, given: Input) -> None:
    given.one_of(
        {'Python': python, 'line': line, 'line ': line, 'config': config, 'config file': config_file}
    )(*context, given)


def python(model: Any, data: Path, given: Input) -> None:
    """Keyword arguments, one or two of them odd."""
    call = given.random.choice(list(PYTHON))
    names = given.random.sample(list(PYTHON[call]), given.random.choice([1, 1, 2]))
    values = {name: given.random.choice(GOOD if given.chance(0.5) else ODD) for name in names}
    rules = [PYTHON[call][name] for name in names]
    legal = None if ANY in rules else all(rule(values[name]) for rule, name in zip(rules, names, strict=True))
    given.label += f' {call} {values}'[:200]
    try:
        accepted(call, values, model)
    except ValueError:
        require(not legal or 'mode' in values, 'legal settings were refused')
        raise
    require(legal is not False, 'illegal settings were accepted')


def accepted(call: str, values: dict[str, Any], model: Any) -> None:
    """Use the settings; what comes out is finite."""
    if call == 'test_cfg':
        InferenceSettings.read(values, 4)
    elif call == 'surgery':
        Surgery.read({'last_blocks': 1, **values})
    elif call == 'segment':
        found = model.segment(photos.photo(16, 20), WORDS, **values)
        require(found.labels.max() < len(WORDS), 'labels out of range')
        require(found.scores is None or np.isfinite(found.scores).all(), 'scores that are not finite')
    else:
        base: dict[str, Any] = dict(
            arch=photos.ARCH,
            pretrained=str(tiny.weights_file(photos.ARCH, photos.SEED)),
            surgery=photos.SURGERY,
            templates='bare',
            short_side=24,
            explain_side=24,
        )
        made = load(**{**base, 'text_cache': False, **values})
        require(
            np.isfinite(made.heatmaps(photos.photo(16, 20), WORDS).similarity).all(),
            'maps that are not finite',
        )


def line(model: Any, data: Path, given: Input) -> None:
    """A command on a photo with an odd option."""
    task, option, text = (
        given.random.choice(list(TASKS)),
        given.random.choice(list(LINE)),
        given.random.choice(TEXTS),
    )
    given.label += f' {task} {option} {text[:40]!r}'
    own = [
        task,
        data / 'photo.png',
        '--arch',
        data / 'clip',
        '--templates',
        'bare',
        '--device',
        'cpu',
        '--out',
        given.folder / 'out',
    ]
    place = given.random.choice(['before', 'after'])
    odd = [f'{option}={text}'] if given.chance(0.5) else [option, text]
    words = [*own, *TASKS[task], *odd] if place == 'after' else [*own, *odd, *TASKS[task]]
    code, said = in_folder(given, main, words)
    judge(code, said)
    if LINE[option] and code == 0:
        low, high = LINE[option]
        value = float(text) if text not in ('own', 'auto') else 1
        require(math.isfinite(value) and low <= value <= high, f'{option} {text} was accepted')
    if code == 0:
        written = list(given.folder.rglob(f'photo_{task}.png'))
        require(written or option in ('--out', '--no-figures'), 'exit code 0 without a result')
        for path in written:
            Image.open(path).load()


def config(model: Any, data: Path, given: Input) -> None:
    """The test tool with an odd `--cfg-options`."""
    odd = (
        f'{given.random.choice(KEYS)}{given.random.choice(["="] * 8 + [":", ""])}{given.random.choice(TEXTS)}'
    )
    given.label += f' {odd[:60]!r}'
    run_test(data / 'test.py', data, given, odd)


def config_file(model: Any, data: Path, given: Input) -> None:
    """The test tool with a damaged config; a config is Python, so accidents alone are tried, not malice."""
    path = given.folder / 'test.py'
    path.write_bytes(damaged((data / 'test.py').read_bytes(), given.random))
    run_test(path, data, given)


def run_test(path: Path, data: Path, given: Input, *odd: str) -> None:
    words = [path, '--work-dir', given.folder / 'work', '--cfg-options', *options(data), *odd]
    code, said = in_folder(given, test.main, words)
    judge(code, said)
    require(code or list(given.folder.rglob('results.json')), 'exit code 0 without results')


def in_folder(given: Input, command: Any, words: list[Any]) -> tuple[int, str]:
    """A command whose relative paths fall into the input's folder."""
    import os

    before = os.getcwd()
    os.chdir(given.folder)
    try:
        return quietly(command, *words)
    finally:
        os.chdir(before)


def judge(code: int, said: str) -> None:
    """An exit code that is documented, and a sentence where it is not 0."""
    if 'Traceback' in said or code not in (0, 1, 2, 3):
        raise RuntimeError(f'exit code {code}: {said[-1500:]}')
    require(code == 0 or said.strip(), f'exit code {code} without a word')
