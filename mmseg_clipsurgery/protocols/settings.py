"""Protocols as data: what a protocol, a data set and a method say, stated once and combined into a config.

    resources/protocols.json     protocols   settings of a test run by default, and where a data set asks for others
                            data_sets   titles, words, the shipped config (and its tower where that is the embedded
                                        one), the depth of their masks
                            more_data_sets  those of explanation and recognition alone, which no leaderboard of
                                        segmentation has: the same, and what their truth is where it is no mask
                            methods     the surgery, the protocol whose settings its authors use, the towers that it is
                                        for where not every tower will do, and parts of the model's config that are
                                        its own, by default and for data sets: constants, feedback, head, guide

A setting is looked up in the protocol for the data set, then in its default, then in the protocol it is `like`. A
config is one line over a model file and a data set file:

    globals().update(settings('clip_surgery', 'voc21'))             another method, data set or protocol: other names

`leaderboard.cells.run_config` builds the same run without a file, which is how the leaderboard fills its table.

A user's own entries stand beside the table's: a surgery that is none of the table's methods is a method with
`OWN_PROTOCOL`, and `OWN_DATA_SETS` holds data sets that were read from config files (`leaderboard.own_data_sets`).
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..environment.extensions import IMPORTED
from ..environment.loader_workers import loading_workers
from ..resources import RESOURCES
from ..surgery import SURGERIES
from ..vocabulary import class_names

TABLE = RESOURCES / 'protocols.json'
OWN_PROTOCOL = 'sclip'  # of a user's own method: the leaderboard's
OWN_DATA_SETS: dict[str, Mapping[str, Any]] = {}  # name -> what the table would say of it
REMEDIES = {
    'methods': 'or give the file that adds it with --import',
    'data_sets': 'or the config file of a data set of your own, such as ./my_data.py',
}
TRUTHS: dict[str, tuple[str | None, str | None]] = {
    'masks': ('LoadAnnotations', None),
    'deep_masks': ('LoadDeepAnnotations', None),
    'points': ('LoadPoints', 'gt_points'),
    'classes': (None, 'gt_classes'),
}  # what an image's truth is -> what loads it, and what is packed beside what MMSeg packs
META_KEYS = (
    *('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip'),
    *('flip_direction', 'reduce_zero_label'),
)  # what MMSeg packs of an image by default
LONG_SIDE = 2048  # pixels, of MMSeg's test pipelines: the long side a resize by the short side may reach


@cache
def table() -> Mapping[str, Any]:
    """`resources/protocols.json`."""
    return json.loads(TABLE.read_text(encoding='utf-8'))


def entries(kind: str) -> dict[str, Mapping[str, Any]]:
    """The table's protocols, data sets or methods, then the user's own.

    Args:
        kind: 'protocols', 'data_sets' or 'methods'.
    """
    own: Mapping[str, Mapping[str, Any]] = OWN_DATA_SETS if kind == 'data_sets' else {}
    if kind == 'methods':
        own = {name: own_method(name) for name in SURGERIES if name not in table()['methods']}
    return {**table()[kind], **own}


def methods_of_the_embedded_tower() -> list[str]:
    """The table's methods that need no other tower beside the one they read."""
    return [name for name in table()['methods'] if 'guide' not in method_settings(name, 'scenes')]


def surgeries_of_the_embedded_tower() -> list[str]:
    """The surgeries of those methods, each once."""
    return list(
        dict.fromkeys(str(table()['methods'][name]['surgery']) for name in methods_of_the_embedded_tower())
    )


def usual_methods(data_set: str, backbone: str = '') -> list[str]:
    """The table's methods that are run where none is named.

    Args:
        data_set: one whose shipped config has a tower of its own, the embedded one, is run by those that fit it.
        backbone: another than the shipped config's; '': that one.
    """
    own = 'tower' in entry('data_sets', data_set) and not backbone
    return methods_of_the_embedded_tower() if own else list(table()['methods'])


def own_method(name: str) -> dict[str, str]:
    """What the table would say of a user's own method."""
    return {'title': name, 'surgery': name, 'protocol': OWN_PROTOCOL}


def entry(kind: str, name: str) -> Mapping[str, Any]:
    """What is said of a protocol, data set or method.

    Args:
        kind: 'protocols', 'data_sets' or 'methods'.
        name: such as 'sclip', 'voc21' or 'clip_surgery'.

    Raises:
        ValueError: there is no such name; the sentence lists those that are there.
    """
    known = entries(kind)
    if name not in known:
        what = kind.replace('_', ' ').removesuffix('s')
        remedy = f', {REMEDIES[kind]}' if kind in REMEDIES else ''
        if kind == 'methods' and IMPORTED:
            remedy += f' ({", ".join(map(str, IMPORTED))}: imported, without it)'
        raise ValueError(f'unknown {what} {name!r}; take one of: {", ".join(known)}{remedy}')
    return known[name]


def facts_of(data_set: str) -> Mapping[str, Any]:
    """What is said of a data set of any task. Raises ValueError as `entry`."""
    return table()['more_data_sets'].get(data_set) or entry('data_sets', data_set)


def protocol_of(method: str, data_set: str) -> str:
    """The protocol of a method on a data set, unless another is asked for: the data set's own wins."""
    return facts_of(data_set).get('protocol') or entry('methods', method)['protocol']


def protocol_settings(protocol: str, data_set: str) -> dict[str, Any]:
    """Settings of a protocol for a data set, in the words of the table."""
    facts_of(data_set)
    stated = entry('protocols', protocol)
    inherited = protocol_settings(stated['like'], data_set) if 'like' in stated else {}
    return {**inherited, **stated['default'], **stated.get(data_set, {})}


def method_settings(method: str, data_set: str) -> dict[str, Any]:
    """A method's own parts of the model's config on a data set: `surgery`, `test_cfg`, `decode_head`, `guide`."""
    stated = entry('methods', method)
    inherited = method_settings(stated['like'], data_set) if 'like' in stated else {}
    own = stated.get('settings', {})
    found = {**inherited, **own.get('default', {}), **own.get(data_set, {})}
    return {
        **found,
        'surgery': {'name': stated['surgery'], **stated.get('fields', {}), **found.get('surgery', {})},
    }


def settings(method: str, data_set: str, protocol: str | None = None) -> dict[str, Any]:
    """Everything a config adds to its model file and data set file.

    Args:
        method: one of the methods; its surgery is set in the backbone, as a dict that fields can be merged into, and
            what else is its own (`method_settings`) beside it.
        data_set: one of the data sets, of any task.
        protocol: one of the protocols; None: that of `protocol_of`.

    Returns:
        `model`, `test_pipeline`, `tta_pipeline` and `test_dataloader`, as in a config; its workers are set for the
        machine.

    Raises:
        ValueError: an unknown name.
    """
    found = protocol_settings(protocol or protocol_of(method, data_set), data_set)
    facts, own = facts_of(data_set), method_settings(method, data_set)
    truth = facts.get('truth') or ('deep_masks' if facts.get('deep_labels') else 'masks')
    pipelines = test_pipelines(found['resize'], *TRUTHS[truth])
    split = {'ann_file': facts['split']} if 'split' in facts else {}
    return dict(
        model=dict(
            backbone=dict(surgery=own.pop('surgery')),
            text_encoder=dict(vocabulary=words(data_set, found['words']), templates=found['templates']),
            test_cfg={**test_cfg(found), **own.pop('test_cfg', {})},
            **own,
        ),
        **pipelines,
        test_dataloader=dict(
            num_workers=loading_workers(),
            dataset=dict(pipeline=pipelines['test_pipeline'], **split),
        ),
    )


def words(data_set: str, kind: str) -> Any:
    """The vocabulary of a data set in the words of a kind: a shipped name, what the user gave, or the class names.

    Args:
        data_set: one of the data sets.
        kind: 'leaderboard' (SCLIP's words, or what later public codes use where SCLIP has none), 'people' (SFP's),
            'plain' (ClearCLIP's: no synonyms), 'proxyclip' (ProxyCLIP's), 'synonyms' (all names of a class, where a
            data set has several) or 'names' (the literal class names).
    """
    given = facts_of(data_set)['words']
    if kind == 'names' and kind not in given:
        return list(class_names(given['leaderboard']))
    return given.get(kind, given['leaderboard'])


def test_cfg(found: Mapping[str, Any]) -> dict[str, Any]:
    """The segmentor's `test_cfg` from settings of the table; what is not stated is off."""
    slide = found['mode'] == 'slide'
    pamr = found.get('pamr')
    return dict(
        mode=found['mode'],
        crop_size=(found['crop'],) * 2 if slide else None,
        stride=(found['stride'],) * 2 if slide else None,
        logit_scale=found['logit_scale'],
        prob_thd=found.get('prob_thd'),
        area_thd=found.get('area_thd'),
        pad_windows=found.get('pad_windows', False),
        # Not stated where it is off: MMEngine can't merge a dict into the None of a base config.
        **(dict(pamr={**pamr, 'dilations': tuple(pamr['dilations'])}) if pamr else {}),
    )


def map_settings(
    data_set: str, protocol: str = 'clip_surgery_paper', maps: bool | str = True
) -> dict[str, Any]:
    """As `settings`, for maps to be judged: CLIP Surgery with feature surgery, by the paper's own protocol.

    Args:
        data_set, protocol: as `settings`.
        maps: True, or 'depicted' where there are too many classes for a map of each.
    """
    found = settings('clip_surgery', data_set, protocol)
    found['model']['decode_head'] = dict(similarity='released')
    found['model']['test_cfg']['maps'] = maps
    return found


def test_pipelines(
    resize: Mapping[str, int] | None, loader: str | None, packed: str | None
) -> dict[str, list]:
    """`test_pipeline` and `tta_pipeline`; annotations are loaded after the resize and keep their size.

    Args:
        resize: None; `short_side`: to this many pixels unless the long side would exceed `LONG_SIDE`; or `square`:
            to this many pixels each way, by Pillow, whose bicubic filter is the one of the published code.
        loader: name of the transform that loads annotations; None: there is nothing to load.
        packed: what is packed of an image beside what MMSeg packs.
    """
    steps = [] if resize is None else [resize_step(resize)]
    flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0, direction='horizontal')]
    load: dict[str, Any] = dict(type='LoadImageFromFile')
    pack: dict[str, Any] = dict(type='PackSegInputs')
    if packed is not None:
        pack['meta_keys'] = (*META_KEYS, packed)
    loads = [] if loader is None else [dict(type=loader)]
    behind = [[dict(step)] for step in (*loads, pack)]
    augment = dict(type='TestTimeAug', transforms=[*([step] for step in steps), flips, *behind])
    return dict(test_pipeline=[load, *steps, *loads, pack], tta_pipeline=[dict(load), augment])


def resize_step(resize: Mapping[str, int]) -> dict[str, Any]:
    """MMSeg's `Resize` for a resize of the table."""
    if 'short_side' in resize:
        return dict(type='Resize', scale=(LONG_SIDE, resize['short_side']), keep_ratio=True)
    side = resize['square']
    return dict(
        type='Resize', scale=(side, side), keep_ratio=False, interpolation='bicubic', backend='pillow'
    )
