"""A config's segmentor as a checkpoint.

MMSeg's own `tools/test.py` and `dist_test.sh` insist on a checkpoint, and a training-free model has none. This one
holds the pretrained weights of both towers as the segmentor's state dict, and the class names and colours:

    {"state_dict": {..}, "meta": {"dataset_meta": {"classes": [..], "palette": [..]}, "mmseg_clipsurgery": version}}

Tensors, lists, numbers and strings only, so `torch.load(weights_only=True)` reads it. MMEngine's own loader unpickles
without that restriction. A file whose name ends in `.safetensors` holds the tensors, and the rest as its metadata, in a
form that can't hold code; our test tool reads it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from ..clip.checkpoints import write_safetensors
from ..environment.files import atomic_write, reason
from ..environment.paths import file_to_write
from ..evaluation import registration  # noqa: F401
from ..evaluation.configs import read_config
from ..evaluation.fitting import fits
from ..evaluation.keywords import check_keywords
from ..models import register_towers
from ..version import __version__

ENDINGS = ('.pth', '.pt', '.safetensors')


def export(config: str, out: str, options: Mapping[str, Any] | None = None) -> None:
    """Build the segmentor of a config with its pretrained weights and save it.

    Args:
        config: a config file, or the name of a shipped one.
        out: the checkpoint's path, whose ending decides the form: `.pth` or `.pt`, or `.safetensors`.
        options: changes to the config, dotted key -> value.

    Raises:
        ValueError, FileNotFoundError: another ending, or a mistake in the config, as the segmentor says it.
    """
    target = file_to_write(out, 'the checkpoint')
    check_ending(target, 'a checkpoint', ENDINGS, '--onnx writes an ONNX file')
    model = built(config, options)
    dataset_meta, state = plain_meta(model.dataset_meta), model.state_dict()
    meta = {'dataset_meta': dataset_meta, 'mmseg_clipsurgery': __version__}
    strings = {'dataset_meta': json.dumps(dataset_meta), 'mmseg_clipsurgery': __version__}
    checkpoint = {'state_dict': state, 'meta': meta}

    def save(temporary: Path) -> None:
        if target.suffix.lower() == '.safetensors':
            write_safetensors(state, temporary, strings)
        else:
            torch.save(checkpoint, temporary)

    try:
        atomic_write(target, save)
    except RuntimeError as error:  # so torch and safetensors say that a disk is full
        raise ValueError(f'the checkpoint {out} could not be written ({reason(error)}); make room') from error
    print(f'{out}: {len(state)} tensors, {len(dataset_meta["classes"])} classes')


def check_ending(path: Path, kind: str, endings: Sequence[str], remedy: str) -> None:
    """Refuse a file whose ending says another form than what is written.

    Args:
        path: of the file.
        kind: what is written.
        endings: those that say it.
        remedy: what writes the other form.

    Raises:
        ValueError: its ending is none of them.
    """
    if path.suffix.lower() not in endings:
        raise ValueError(
            f'{path}: {kind} ends in {" or ".join(endings)}, got the ending {path.suffix!r}; {remedy}'
        )


def built(config: str, options: Mapping[str, Any] | None = None) -> Any:
    """The segmentor of a config. Raises ValueError or FileNotFoundError as `export`."""
    cfg = read_config(config, options)
    if not cfg.get('model'):
        raise ValueError(f'the config {config} has no model')
    register_towers()
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    check_keywords(cfg)
    with fits(cfg):
        return MODELS.build(cfg.model)


def plain_meta(meta: Mapping[str, Any]) -> dict[str, list]:
    """Class names and colours as plain lists."""
    colours = [[int(value) for value in colour] for colour in meta['palette']]
    return {'classes': [str(name) for name in meta['classes']], 'palette': colours}
