"""Configs of many surgeries in one run, and configs that can be put together into one.

    model.backbone.surgery = ['clip', 'sclip', dict(name='sclip', last_blocks=3)]

is written as the `variants` of the model (see `models.variants`), under the names clip, sclip and sclip_last_blocks-3.
Configs that differ in surgery, similarity and settings after the windows alone see the same pixels, windows and words:
they `share_a_pass`, and `combined` makes one config of them.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmengine.config import Config, ConfigDict

from ..inference.one_pass import OWN_SETTINGS
from ..surgery import Surgery
from .configs import segmentor_config

FOLDERS = ('output_dir', 'scores_dir')  # of a metric; each variant writes into a folder of its own below


def variants_of(cfg: Config) -> Mapping[str, Mapping]:
    """The variants of a config's segmentor, by name; empty where it has none."""
    return (segmentor_config(cfg) or {}).get('variants') or {}


def surgeries_to_variants(cfg: Config) -> None:
    """Write a list of surgeries in the backbone as variants of the model.

    Raises:
        ValueError: the list is empty or names one twice, or the model has variants beside it.
    """
    model: Any = segmentor_config(cfg) or {}
    backbone: Any = model.get('backbone') or {}
    given = backbone.get('surgery')
    if not isinstance(given, Sequence) or isinstance(given, str):
        return
    names = [surgery_name(surgery) for surgery in given]
    if model.get('variants') or not names or len(set(names)) < len(names):
        raise ValueError(
            f'got the surgeries {", ".join(names) or "[]"}: give each once, and no model.variants beside them'
        )
    model.variants = {
        name: dict(surgery=surgery) for name, surgery in zip(names, deepcopy(list(given)), strict=True)
    }
    backbone.surgery = next(iter(model.variants.values()))['surgery']


def surgery_name(surgery: str | Mapping | Surgery) -> str:
    """A name for a surgery that can be a folder's: its own, with the fields that a dict replaces."""
    if not isinstance(surgery, Mapping):
        return surgery if isinstance(surgery, str) else plain(surgery.name)
    fields = (f'{key}-{value}' for key, value in surgery.items() if key != 'name')
    return plain('_'.join([*([surgery['name']] if 'name' in surgery else []), *fields]))


def plain(name: str) -> str:
    """A name with letters, digits and _ - + alone."""
    return ''.join(letter if letter.isalnum() or letter in '_-+' else '-' for letter in name)


def split(cfg: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what configs of one pass must agree in, the variant that this config is)."""
    shared = deepcopy(cfg.to_dict())
    model = shared['model']
    test_cfg = model.get('test_cfg') or {}
    own = {name: test_cfg.pop(name) for name in OWN_SETTINGS if name in test_cfg}
    variant = dict(surgery=model['backbone'].pop('surgery', None), test_cfg=own)
    if 'similarity' in (model.get('decode_head') or {}):
        variant['similarity'] = model['decode_head'].pop('similarity')
    return shared, variant


def share_a_pass(cfg: Config) -> str:
    """A text that is the same for configs that can be put together."""
    return json.dumps(split(cfg)[0], sort_keys=True, default=str)


def combined(cfgs: Mapping[str, Config]) -> Config:
    """One config whose model has a variant for each of these, by their names.

    Raises:
        ValueError: there is none, or they differ in more than surgery, similarity and settings after the windows.
    """
    if len({share_a_pass(cfg) for cfg in cfgs.values()}) != 1:
        raise ValueError(
            f'{", ".join(cfgs) or "no config"}: to share a pass, configs may differ in model.backbone.surgery, '
            f'model.decode_head.similarity and {", ".join(OWN_SETTINGS)} of model.test_cfg alone'
        )
    made = deepcopy(next(iter(cfgs.values())))
    made.model.variants = {name: split(cfg)[1] for name, cfg in cfgs.items()}
    for part, names in (('test_cfg', OWN_SETTINGS), ('decode_head', ('similarity',))):
        for name in names:
            (made.model.get(part) or {}).pop(name, None)
    return made


def metrics_of(given: Any, variant: str) -> list[ConfigDict]:
    """Configs of a variant's own metrics, each with folders of its own.

    Args:
        given: `test_evaluator` of a config: one, or several.
        variant: its name.
    """
    metrics = deepcopy(list(given) if isinstance(given, list | tuple) else [given])
    for metric in metrics:
        metric.update({key: f'{metric[key]}/{variant}' for key in FOLDERS if metric.get(key)})
    return metrics
