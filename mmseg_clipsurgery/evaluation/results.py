"""What a run was and what came out: the effective protocol, versions, commit, and one results file (JSON).

    {"metrics": {"mIoU": ..}, "per_class": [{"class": .., "IoU": .., "Acc": ..}], "protocol": {..}, "images": ..,
     "numerics": {..}, "seconds": .., "images_per_second": .., "peak_memory_mib": {..}, "versions": {..},
     "commit": .., "date": ..}

Percentages are 0 to 100; what has no value (a class that does not occur) is null.
"""

import csv
import json
import math
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_world_size

from ..environment.files import atomic_write
from ..surgery import Surgery
from ..version import __version__
from .numerics import device_name

IMPORT_NAMES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmseg', 'open_clip', 'numpy', 'cv2', 'PIL')


def protocol(cfg: Config, dataset: Any, model: torch.nn.Module, variant: str | None = None) -> dict[str, Any]:
    """The settings that decide the figures, as they are in effect, in the order in which they are printed.

    Args:
        cfg: the whole config; its `model` may be wrapped for test-time augmentation.
        dataset: the built test data set.
        model: the built model, wrapped or not.
        variant: which of its variants; None: it has none.
    """
    settings = cfg.model.get('module', cfg.model)
    backbone, text = settings.get('backbone', {}), settings.get('text_encoder', {})
    head = settings.get('decode_head') or {}
    segmentor = unwrap(model)
    inference = vars(segmentor.settings) if hasattr(segmentor, 'settings') else settings.get('test_cfg') or {}
    surgery = stated_surgery(
        backbone.get('surgery'), getattr(getattr(segmentor, 'backbone', None), 'surgery', None)
    )
    if variant is not None:
        inference = vars(segmentor.predictors[variant].settings)
        surgery = stated_surgery(settings.variants[variant].surgery, segmentor.variants[variant].surgery)
    source = cfg.test_dataloader.dataset
    parameter = next(segmentor.parameters(), torch.empty(0))
    vocabulary = getattr(segmentor, 'vocabulary', None)
    return {
        'dataset': type(dataset).__name__,
        **({'version': dataset.metainfo['version']} if 'version' in dataset.metainfo else {}),
        'data root': source.get('data_root') or getattr(dataset, 'data_root', None),
        'split': source.get('ann_file'),
        'images': len(dataset),
        'classes': len(dataset.metainfo['classes']),
        'queries': None if vocabulary is None else len(vocabulary.queries),
        'words': _named(text.get('vocabulary')),
        'templates': _named(text.get('templates')),
        'resize': resize_of(source.get('pipeline', [])),
        'mode': inference.get('mode', 'whole'),
        'crop': inference.get('crop_size'),
        'stride': inference.get('stride'),
        'logit scale': inference.get('logit_scale'),
        'probability threshold': inference.get('prob_thd'),
        'area threshold': inference.get('area_thd'),
        'padded windows': inference.get('pad_windows'),
        'calibrated on': calibrated_on(inference.get('calibration')),
        'PAMR': _named(inference.get('pamr')),
        'feedback': _named(inference.get('feedback')),
        **({'explainer': inference['explainer']} if inference.get('explainer') else {}),
        'global share': head.get('global_share') or None,
        'prompt shift': _named(head.get('prompt_shift')),
        'guide': _named(settings.get('guide')),
        'test-time augmentation': cfg.model is not settings,
        'surgery': surgery,
        'arch': stated_arch(backbone.get('arch')),
        'pretrained': _named(settings.get('pretrained') or backbone.get('pretrained')),
        'dtype': str(parameter.dtype).removeprefix('torch.'),
        'precision': inference.get('precision'),
        **getattr(segmentor, 'own_protocol', dict)(),
        'device': device_name(parameter.device),
        'processes': get_world_size(),
    }


def calibrated_on(calibration: Any) -> str | None:
    """How many images settings were calibrated on, and which; None: settings were not calibrated."""
    if not isinstance(calibration, Mapping):
        return None
    return f'{calibration["images"]} images of {calibration["source"]}'


def stated_surgery(given: Any, built: Any) -> dict[str, Any] | None:
    """All fields of the surgery in effect, and the name by which the config asked for it.

    Args:
        given: what the config says.
        built: the surgery in effect; what is none leaves what the config says.
    """
    in_effect = built if isinstance(built, Surgery) else given
    if in_effect is None:
        return None
    name = given if isinstance(given, str) else given.get('name') if isinstance(given, Mapping) else None
    fields = Surgery.read(in_effect).as_dict()
    return {'name': name, **fields} if name else fields


def stated_arch(arch: Any) -> Any:
    """An arch by its name; with fields of its own, as a dict."""
    if isinstance(arch, Mapping):
        return arch['name'] if set(arch) == {'name'} else str(arch)
    return _named(arch)


def protocol_lines(settings: Mapping[str, Any]) -> str:
    """The protocol as a table of two columns; what is not set is a dash."""
    width = max(map(len, settings))
    return '\n'.join(f'  {key:{width}}  {_shown(value)}' for key, value in settings.items())


def protocols_lines(settings: Mapping[str | None, Mapping[str, Any]]) -> str:
    """As `protocol_lines`, of variants by name: what they share, then what is each one's own."""
    every = list(settings.values())
    shared = {key: value for key, value in every[0].items() if all(one[key] == value for one in every)}
    own = [
        f' {name}\n{protocol_lines({key: value for key, value in one.items() if key not in shared})}'
        for name, one in settings.items()
        if len(every) > 1
    ]
    return '\n'.join([protocol_lines(shared), *own])


def resize_of(pipeline: Any) -> str | None:
    """The first resize of a data pipeline in words; None where images keep their size."""
    for step in steps_of(pipeline):
        if str(step.get('type', '')).startswith('Resize'):
            ratio = ', ratio kept' if step.get('keep_ratio') else ''
            return f'{step.get("scale", step.get("scale_factor"))}{ratio}'
    return None


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """The segmentor within distributed and test-time-augmentation wrappers."""
    inner = getattr(model, 'module', None)
    return unwrap(inner) if isinstance(inner, torch.nn.Module) else model


def peak_memory_mib() -> dict[str, float]:
    """Largest memory of any process so far, in MiB: `process` (resident, Linux and macOS) and `cuda` (allocated)."""
    own: dict[str, float] = {}
    if platform.system() != 'Windows':
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        own['process'] = largest / (2**20 if sys.platform == 'darwin' else 2**10)
    if torch.cuda.is_available():
        own['cuda'] = torch.cuda.max_memory_allocated() / 2**20
    every = all_gather_object(own)
    return {key: round(max(one[key] for one in every), 1) for key in own}


def versions() -> dict[str, str]:
    """Versions of Python, this package and what it stands on, by import name."""
    found = {'python': platform.python_version(), 'mmseg_clipsurgery': __version__}
    distributions = metadata.packages_distributions()
    for name in IMPORT_NAMES:
        for distribution in distributions.get(name, [])[:1]:
            found[name] = f'{metadata.version(distribution)} ({distribution})'
    found['torch'] = torch.__version__
    return found


def commit() -> str | None:
    """Commit of the checkout the package runs from, '+changes' where it was edited; None for an installed one."""
    folder = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(['git', '-C', str(folder), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        git('ls-files', '--error-unmatch', Path(__file__).name)
        edited = git('status', '--porcelain', '--untracked-files=no')
        return git('rev-parse', 'HEAD') + ('+changes' if edited else '')
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def provenance() -> dict[str, Any]:
    """Versions and commit of this process, looked up once: the code that was imported stays what it is."""
    return {'versions': versions(), 'commit': commit()}


def write_results(path: str | Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Write a results file with versions, commit and date (UTC); what it holds.

    Numbers that are not finite become null, and everything is one of JSON's own types.
    """
    stamped = {
        **results,
        **provenance(),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }
    plain = _plain(stamped)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + '\n'
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))
    return plain


def write_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header; without rows write nothing."""
    if not rows:
        return

    def save(temporary: Path) -> None:
        with temporary.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    atomic_write(path, save)


def steps_of(pipeline: Any) -> Iterator[Mapping[str, Any]]:
    """Steps of a pipeline, those inside test-time augmentation's lists included."""
    for step in pipeline:
        if isinstance(step, Mapping):
            yield step
            yield from steps_of(step.get('transforms', []))
        elif isinstance(step, (list, tuple)):
            yield from steps_of(step)


def _shown(value: Any) -> Any:
    """A setting on one line: 'clip_surgery, last_blocks 6, affinity vv, ...' for one of several fields."""
    if isinstance(value, Mapping):
        return ', '.join(str(inner) if key == 'name' else f'{key} {inner}' for key, inner in value.items())
    return '-' if value is None or value is False else value


def _named(value: Any) -> Any:
    """What names itself as it is; a list by its length, a mapping by its fields."""
    if isinstance(value, (list, tuple)):
        return f'{len(value)} given in the config'
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _plain(value: Any) -> Any:
    """JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, torch.Tensor) or hasattr(value, 'tolist'):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
