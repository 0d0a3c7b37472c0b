"""Settings from Python, on the command line and in configs: numbers that are none, unknown keys, paths, devices.

Oracle: each setting has a rule that says which values are legal; what is accepted is legal and gives finite numbers,
and what is refused is not legal. Rules that depend on other settings are left out (None).
"""

import math
from contextlib import chdir
from pathlib import Path
from typing import Any

import mini_voc
import photos
import tiny
from campaign.inputs import ODD, Input, damaged, quietly, require
from campaign.kills import ARCH, options
from mmseg_clipsurgery import test
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.surgery import Surgery

import numpy as np
from PIL import Image

WORDS = ['background', 'cat', 'grass']
TASKS = {name: ['--words', *WORDS] for name in ('segment', 'heatmaps', 'recognise')} | {
    'points': ['--word', 'cat']
}


def real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def positive(value: Any) -> bool:
    return real(value) and value > 0


def share(value: Any) -> bool:
    return value is None or (real(value) and 0 <= value <= 1)


def zero(value: Any) -> bool:
    """A threshold is for one word alone, and several are asked for."""
    return real(value) and value == 0


def switch(value: Any) -> bool:
    return isinstance(value, bool)


def never(value: Any) -> bool:
    return False


def count(least: int = 1, most: float = math.inf) -> Any:
    return lambda value: type(value) is int and least <= value <= most


def count_or(*others: Any, least: int = 1, most: float = math.inf) -> Any:
    return lambda value: any(value is other for other in others) or count(least, most)(value)


def one_of(*names: str) -> Any:
    return lambda value: value in names


# fmt: off
ANY = None  # a rule that is not stated
PYTHON: dict[str, dict[str, Any]] = {
    'segment': {
        'logit_scale': positive, 'prob_thd': share, 'area_thd': share, 'threshold': zero, 'scores': switch,
        'min_presence': share, 'pamr': ANY, 'feedback': ANY,
    },
    'load': {
        'batch': count(most=65_536), 'max_pixels': count(10_000), 'bit_depth': count_or(None, least=8, most=16),
        'short_side': count_or(None, 'auto', most=8192), 'explain_side': count_or(None, 'auto', most=8192),
        'window': ANY, 'stride': ANY, 'arch': ANY,
        'quick_gelu': ANY, 'checksum': ANY, 'templates': ANY, 'surgery': ANY, 'guide': ANY, 'pretrained': ANY,
    },
    'test_cfg': {
        'mode': one_of('whole', 'slide'), 'logit_scale': positive, 'prob_thd': share, 'area_thd': share,
        'window_batch': count(), 'scores': switch, 'maps': switch, 'compiled': switch, 'chunk_memory': count_or(None),
        'precision': one_of('fp32', 'bf16', 'fp16', 'tf32'), 'pad_windows': count_or(True, False, least=0),
        'unknown': never,
    },
    'surgery': {
        'last_blocks': count(0), 'affinity': one_of('vv', 'kk'), 'residual': switch, 'ffn': switch, 'unknown': never,
        'position': one_of('bilinear'), 'reads': ANY, 'constants': ANY, 'each_block': ANY,
    },
}
GOOD = [
    *(1, 2, 8, 40.0, 0.5, 0, True, False, None, 16, 24, [3, 3]),
    *('auto', 'slide', 'whole', 'bf16', 'vv', 'kk', 'bilinear'),
    *({'iterations': 1, 'dilations': [1, 2]}, {'iterations': 1, 'dilations': [math.nan]}),
]
NAMES = '1 0.5 40 nan inf -inf -1 0 abc 1e999 1,2 ０.５ True None [1 {} /nowhere/x ~nobody-there/x /dev/null . own auto'
TEXTS = [*NAMES.split(), '', ' ', '9' * 400, 'a\0b', '\udcff', 'a' * 5000]
LINE = {
    '--opacity': (0, 1), '--logit-scale': (0, math.inf), '--prob-thd': (0, 1), '--area-thd': (0, 1),
    '--threshold': (-math.inf, math.inf), '--min-presence': (0, 1), '--bit-depth': (8, 16),
    '--max-pixels': (1, math.inf), '--short-side': (1, 8192), '--device': None, '--arch': None, '--weights': None,
    '--templates': None, '--surgery': None, '--out': None, '--import': None, '--vocabulary': None, '--guide': None,
    '--quick-gelu': None, '--labels': None, '--x': None,
}
KEY_NAMES = """
    model.backbone.surgery model.backbone.surgery.last_blocks model.backbone.arch model.backbone.type model.type
    model model.backbone.unknown model.pretrained model.backbone.pretrained model.text_encoder.vocabulary
    default_scope unknown model.text_encoder.templates model.test_cfg.logit_scale model.test_cfg.mode
    model.test_cfg.crop_size model.test_cfg model.test_cfg.stride model.test_cfg.precision
    test_dataloader.batch_size test_dataloader.dataset.type work_dir test_dataloader.dataset.ann_file
    test_dataloader.dataset.pipeline test_dataloader.drop_last test_evaluator.type a.b.c test_evaluator.ignore_index
    test_evaluator.ignore_indx test_evaluator custom_imports load_from
"""
KEYS = KEY_NAMES.split()
# fmt: on


def prepare() -> tuple[Any, Path]:
    """A model; a folder with a tiny CLIP, a photo, and a data set of two images with the config of a test run."""
    data = tiny.folder() / 'settings'
    if not data.exists():
        photos.folder(data / 'clip', ARCH)
        photos.save(data / 'photo.png', photos.photo(20, 24))
        mini_voc.make(data / 'voc', mini_voc.NAMES[:2])
        config = mini_voc.config(data / 'voc')
        config.model.test_cfg.update(crop_size=(32, 32), stride=(16, 16), prob_thd=None)
        config.dump(data / 'test.py')
    return photos.model(), data


def trial(context: Any, given: Input) -> None:
    given.kind(python, line, line, config, config_file)(*context, given)


def python(model: Any, data: Path, given: Input) -> None:
    """Keyword arguments, one or two of them odd."""
    call = given.random.choice(list(PYTHON))
    names = given.random.sample(list(PYTHON[call]), given.pick(1, 1, 2))
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
        base = dict(
            arch=photos.ARCH,
            pretrained=str(tiny.weights_file(photos.ARCH, photos.SEED)),
            surgery=photos.SURGERY,
        )
        made = load(
            **{
                **base,
                'templates': 'bare',
                'short_side': 24,
                'explain_side': 24,
                'text_cache': False,
                **values,
            }
        )
        maps = made.heatmaps(photos.photo(16, 20), WORDS).similarity
        require(np.isfinite(maps).all(), 'maps that are not finite')


def line(model: Any, data: Path, given: Input) -> None:
    """A command on a photo with an odd option."""
    task, option, text = (given.random.choice(list(table)) for table in (TASKS, LINE, TEXTS))
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
        'out',
    ]
    odd = given.pick([f'{option}={text}'], [option, text])
    code = ends_well(given, main, given.pick([*own, *TASKS[task], *odd], [*own, *odd, *TASKS[task]]))
    if LINE[option] and code == 0:
        low, high = LINE[option]
        value = int(text) if text.isdecimal() else float(text) if text not in ('own', 'auto') else 1
        require(abs(value) < math.inf and low <= value <= high, f'{option} {text} was accepted')
    if code == 0:
        written = list(given.folder.rglob(f'photo_{task}.png'))
        require(written or option == '--out', 'exit code 0 without a result')
        for path in written:
            Image.open(path).load()


def config(model: Any, data: Path, given: Input) -> None:
    """The test tool with an odd `--cfg-options`."""
    odd = f'{given.random.choice(KEYS)}{given.pick(*"======", ":", "")}{given.random.choice(TEXTS)}'
    given.label += f' {odd[:60]!r}'
    run_test(data / 'test.py', data, given, odd)


def config_file(model: Any, data: Path, given: Input) -> None:
    """The test tool with a damaged config; a config is Python, so accidents alone are tried, not malice."""
    path = given.folder / 'test.py'
    path.write_bytes(damaged((data / 'test.py').read_bytes(), given.random))
    run_test(path, data, given)


def run_test(path: Path, data: Path, given: Input, *odd: str) -> None:
    code = ends_well(given, test.main, [path, '--work-dir', 'work', '--cfg-options', *options(data), *odd])
    require(code or list(given.folder.rglob('results.json')), 'exit code 0 without results')


def ends_well(given: Input, command: Any, words: list[Any]) -> int:
    """The exit code of a command, called in the input's folder: one that is documented, not 0 without a sentence."""
    with chdir(given.folder):
        code, said = quietly(command, *words)
    if 'Traceback' in said or code not in (0, 1, 2, 3):
        raise RuntimeError(f'exit code {code}: {said[-1500:]}')
    require(code == 0 or said.strip(), f'exit code {code} without a word')
    return code
