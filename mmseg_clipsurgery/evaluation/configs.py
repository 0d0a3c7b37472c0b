"""Configs by object, by file or by the name of a shipped one; names of a surgery and an arch become dicts.

    surgery='sclip'  ->  surgery=dict(name='sclip')          arch='ViT-B-16'  ->  arch=dict(name='ViT-B-16')

MMEngine can merge a dict over a dict and not over a string. In this form fields can be set over any config, such as
`--cfg-options model.backbone.surgery.last_blocks=3`, and a string over it still replaces it.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from ..datasets.base_datasets import dataset_configs
from ..environment.files import reason
from ..environment.paths import user_path
from ..inference.calibration_files import calibrated
from ..resources import config as shipped_config
from ..vocabulary import Vocabulary
from .fitting import fits

NAMES_AS_DICTS = (
    "write a name in the base as a dict, such as surgery=dict(name='sclip') or arch=dict(name='ViT-B-16')"
)


def read_config(given: Config | str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """A config with changes; one given as an object stays as it is.

    Args:
        given: a config, a file, or the name of a shipped config.
        options: changes by dotted key, as of `--cfg-options`.

    Raises:
        ValueError, FileNotFoundError: there is no such config, or the options do not fit it.
    """
    cfg = deepcopy(given) if isinstance(given, Config) else config_of(config_path(str(given)))
    with fits(cfg):
        names_to_dicts(cfg)
    if options and options.get('model.pretrained', '') is None:
        raise ValueError(
            "model.pretrained=None changes nothing, the towers' own pretrained stays: write model.pretrained=random "
            'for random weights'
        )
    if options:
        try:
            cfg.merge_from_dict(deepcopy(dict(options)))
        except (TypeError, AttributeError, KeyError) as error:
            reason = ' '.join(str(error).split())
            raise ValueError(f'the options {", ".join(options)} do not fit the config: {reason}') from error
        with fits(cfg):
            names_to_dicts(cfg)
    check_strings(cfg._cfg_dict)
    with fits(cfg):
        read_calibration(cfg)
    return cfg


def check_strings(value: Any, place: str = '') -> None:
    """Refuse settings that can't be written as UTF-8, as MMEngine does with all of them.

    Raises:
        ValueError: names the setting.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            check_strings(inner, f'{place}.{key}' if place else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            check_strings(inner, place)
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f'the setting {ascii(place)[1:-1]} is {value!a}, which can not be written as UTF-8; a file or folder '
                'whose name is not UTF-8 needs another name'
            ) from None


def read_calibration(cfg: Config) -> None:
    """Write the settings of a segmentor's `test_cfg.calibration`, a file, into the config.

    Raises:
        ValueError, FileNotFoundError: many surgeries, or see `inference.calibration_files`.
    """
    model: Any = segmentor_config(cfg) or {}
    if not isinstance((model.get('test_cfg') or {}).get('calibration'), str):
        return
    surgery = model['backbone'].get('surgery', 'clip_surgery')
    if isinstance(surgery, list | tuple) or model.get('variants'):
        raise ValueError(
            'test_cfg.calibration is of one surgery, and the config has many; run them one by one'
        )
    words = Vocabulary.read(model['text_encoder'].get('vocabulary'))
    model.test_cfg, head = calibrated(model.test_cfg.to_dict(), model.get('decode_head'), words, surgery)
    if head is not None:
        model.decode_head = head


def config_of(path: str) -> Config:
    """The config of a file.

    Raises:
        ValueError: it can't be read, or raises while it is read; the sentence names the error.
    """
    try:
        cfg = Config.fromfile(path)
    except FileNotFoundError:
        raise
    except (Exception, SystemExit) as error:  # MMEngine runs the file, so it may raise anything
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        said = ' '.join(f'{type(error).__name__}: {error}'.split())
        if isinstance(error, TypeError) and 'in base config' in said:
            said = f'{said.partition(". You may")[0]}; {NAMES_AS_DICTS}'
        raise ValueError(f'the config {path} can not be read: {said}') from error
    for part in ('model', 'test_dataloader'):
        if not isinstance(cfg.get(part, {}), Mapping | None):
            raise ValueError(f'the config {path} has {part} = {cfg[part]!r}; it must be a dict')
    return cfg


def names_to_dicts(cfg: Config) -> None:
    """Write a segmentor's surgery and archs that are names as dicts with this name."""
    for part, key in _named_settings(cfg):
        if isinstance(part.get(key), str | Path):
            part[key] = dict(name=str(part[key]))


def _named_settings(cfg: Config) -> Iterator[tuple[Any, str]]:
    model = segmentor_config(cfg) or {}
    if 'text_encoder' in model:  # another model's `arch` is its own affair
        yield from ((model.get('backbone', {}), key) for key in ('surgery', 'arch'))
        yield model['text_encoder'], 'arch'


def segmentor_config(cfg: Config) -> Any:
    """The config of the segmentor, within that of test-time augmentation where there is one; None without a model."""
    model = cfg.get('model')
    return model.get('module', model) if model else None


def check_parts(cfg: Config, *parts: str) -> None:
    """Refuse a config that lacks a part of a test run. Raises ValueError."""
    for part in parts:
        if not cfg.get(part):
            raise ValueError(
                f'the config {cfg.filename or "that was given"} has no {part}: it is not a config of a test run'
            )


def set_data_root(cfg: Config, folder: str | Path) -> None:
    """Read the test data from another folder, and with it the words, where the config has both in one folder."""
    text = (segmentor_config(cfg) or {}).get('text_encoder') or {}
    for source in dataset_configs(cfg.test_dataloader.dataset):
        words, old = text.get('vocabulary'), source.get('data_root')
        if isinstance(words, str) and old and Path(words).is_relative_to(old):
            text['vocabulary'] = str(Path(folder, Path(words).relative_to(old)))
        source['data_root'] = str(folder)


def config_path(name: str) -> str:
    """Path of a config given as a file or by the name of a shipped one.

    Raises:
        ValueError, FileNotFoundError: it is neither.
    """
    if user_path(name).is_file():
        return str(user_path(name))
    if Path(name).name != name or name.endswith('.py'):
        raise FileNotFoundError(
            f'the config {name} does not exist: give a file, or the name of a shipped config such as clipsurgery_voc'
        )
    return shipped_config(name)


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """The words of `--cfg-options`, KEY=VALUE each -> dotted key -> value, as MMEngine parses them.

    Raises:
        ValueError: one is not of that form.
    """
    if wrong := [word for word in options if not word.partition('=')[0] or '=' not in word]:
        raise ValueError(f'--cfg-options takes KEY=VALUE, got {wrong[0]!r}')
    if not options:
        return {}
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    try:
        return parser.parse_args(['--cfg-options', *options]).cfg_options
    except (RecursionError, AssertionError, LookupError, AttributeError) as error:  # of MMEngine's own parser
        raise ValueError(
            f'--cfg-options {" ".join(options)} can not be parsed ({reason(error)}): check its brackets'
        ) from None
