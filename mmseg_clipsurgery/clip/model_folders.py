"""Folders of models: where they are, on disk or on the hub, and what they say.

    open_clip's form       `open_clip_config.json` (model config and preprocessing), a file of weights, tokenizer files
    Hugging Face's form    `config.json` of a CLIPModel, weights in one file or in shards, see `hugging_face`

A folder with both configs is of open_clip's form.
"""

import logging
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import open_clip

from ..environment.files import read_json, reason
from ..environment.paths import user_path
from ..resources import RESOURCES
from ..scenes.spec import VERSION
from . import hugging_face
from .remote_code import refuse_code, refuse_code_in

logger = logging.getLogger('mmseg_clipsurgery')

SCENES = RESOURCES / 'scenes'
WEIGHT_SUFFIXES = ('.pt', '.pth', '.bin', '.ckpt', '.safetensors', '.json')
CONFIG_NAME = 'open_clip_config.json'
WEIGHT_NAMES = (
    'open_clip_model.safetensors',
    'open_clip_pytorch_model.safetensors',
    'open_clip_pytorch_model.bin',
    'open_clip_pytorch_model.pth',
    'model.safetensors',
    'pytorch_model.bin',
    'pytorch_model.pth',
    'model.pth',
    'model.safetensors.index.json',
    'pytorch_model.bin.index.json',
)
HUB_ID = re.compile(r'[A-Za-z0-9][\w.-]*/[\w.-]+')
LEAST_STD = 1e-3  # of pixels in [0, 1]
SIZES = {  # of a model config: the largest that is not absurd
    'embed_dim': 65_536,
    'width': 65_536,
    'layers': 1000,
    'heads': 4096,
    'head_width': 4096,
    'image_size': 16_384,
    'patch_size': 4096,
    'context_length': 65_536,
    'vocab_size': 10_000_000,
}
TOKENIZER_FILES = ('*.txt', '*.txt.gz', 'tokenizer*', '*.model', 'special_tokens_map.json', 'vocab.*')


def as_folder(name: str | Path, cache_dir: str | None = None, weights: bool = True) -> Path | None:
    """The folder a name stands for, if it stands for one; `hf-hub:` names are fetched (or found in the cache).

    Args:
        name: what the user wrote.
        cache_dir: where downloads go.
        weights: whether weights are fetched too, or the config alone.
    """
    name = str(name)
    if name == 'scenes':
        return SCENES
    folder = user_path(name.removeprefix('local-dir:'))
    if name.startswith('local-dir:') or folder.is_dir():
        return folder
    if name.startswith('hf-hub:') or is_hub_id(name):
        return fetch_folder(name.removeprefix('hf-hub:'), cache_dir, weights)
    return None


def is_hub_id(name: str) -> bool:
    """Whether a name that is no folder reads as a hub's 'org/name', not as a model name or a file.

    'ViT-B/61' starts like names of open_clip's, 'weights/clip.pt' ends like a file or starts in a folder that is here.
    """
    first = name.partition('/')[0]
    models = any(model.startswith(first) for model in open_clip.list_models())
    like_file = Path(name).suffix.lower() in WEIGHT_SUFFIXES or Path(first).exists()
    return bool(HUB_ID.fullmatch(name)) and not models and not like_file


def fetch_folder(repository: str, cache_dir: str | None, weights: bool = True) -> Path:
    """Download (or find in the cache) a hub model's config, tokenizer files and one file of weights or none."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.utils import EntryNotFoundError

    try:
        wanted = [CONFIG_NAME, hugging_face.CONFIG_NAME, hugging_face.STATISTICS_NAME, *TOKENIZER_FILES]
        folder = Path(snapshot_download(repository, cache_dir=cache_dir, allow_patterns=wanted))
        here = any((folder / name).is_file() for name in WEIGHT_NAMES if not name.endswith('.json'))
        for name in WEIGHT_NAMES if weights and not here else ():
            try:
                found = Path(hf_hub_download(repository, name, cache_dir=cache_dir, revision=folder.name))
                if name.endswith(hugging_face.SHARDS_SUFFIX):
                    for shard in hugging_face.shard_names(found):
                        hf_hub_download(repository, shard, cache_dir=cache_dir, revision=folder.name)
                break
            except EntryNotFoundError:  # offline: not in the cache
                continue
        return folder
    except Exception as error:  # the hub's errors have no common base across its releases
        raise FileNotFoundError(
            f'hf-hub:{repository} could not be fetched or found in the cache ({reason(error)}); check the '
            'name and the network, or give a local folder'
        ) from None


def read_folder(folder: Path) -> tuple[dict, Path, dict]:
    """A folder -> (model config, the folder, preprocessing settings).

    Raises:
        FileNotFoundError: it holds no config.
        ValueError: a config that is none, or one that names code (see `remote_code`).
    """
    path = folder / CONFIG_NAME
    if not path.is_file() and (folder / hugging_face.CONFIG_NAME).is_file():
        return read_hugging_face_folder(folder)
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {CONFIG_NAME} and no {hugging_face.CONFIG_NAME}; give a folder in open_clip's local-dir "
            "form, or one of Hugging Face's CLIPModel"
        )
    content = read_json(path)
    if not isinstance(content.get('model_cfg'), dict):
        raise ValueError(f'{path} has no "model_cfg"; give a folder in open_clip\'s local-dir form')
    refuse_code(content, path)
    refuse_code_in(folder)
    check_parts(content['model_cfg'], path)
    name_earlier_scenes(folder)
    if 'vision_cfg' not in content['model_cfg']:
        raise ValueError(f'{path}: its model_cfg has no vision_cfg')
    return content['model_cfg'], folder, statistics_of(content.get('preprocess_cfg') or {}, path)


@cache
def name_earlier_scenes(folder: Path) -> None:
    """Log, once, that a folder's model was trained on scenes that are no longer drawn, as its card says."""
    try:
        version = read_json(folder / 'card.json').get('scenes_version')
    except (OSError, ValueError):
        return  # no card of ours
    if version not in (None, VERSION):
        logger.warning(
            '%s is a model of scenes of version %s, and those of today are of version %s: its figures on them stand '
            'beside none of the tables',
            folder,
            version,
            VERSION,
        )


def read_hugging_face_folder(folder: Path) -> tuple[dict, Path, dict]:
    """As `read_folder`, of Hugging Face's form."""
    path = folder / hugging_face.CONFIG_NAME
    refuse_code_in(folder)
    config = hugging_face.model_config(read_json(path), path)
    check_parts(config, path)
    statistics = statistics_of(hugging_face.statistics(folder), folder / hugging_face.STATISTICS_NAME)
    return config, folder, statistics


def statistics_of(preprocess: object, path: Path) -> dict:
    """The settings of a folder's preprocessing. Raises ValueError where mean or std are not of values in [0, 1]."""
    if not isinstance(preprocess, dict):
        raise ValueError(f'{path}: preprocess_cfg must hold names and values, got {preprocess!r}')
    for name, least in (('mean', 0.0), ('std', LEAST_STD)):
        values = preprocess.get(name, [1.0, 1.0, 1.0])
        numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        if not numbers or len(values) != 3 or not all(least <= value <= 1 for value in values):
            raise ValueError(
                f'{path}: {name} must be three numbers from {least:g} to 1, one a channel, got {values!r}'
            )
    return preprocess


def check_parts(config: Mapping, where: str | Path) -> None:
    """Refuse a model config whose parts are of other types than open_clip's. Raises ValueError with the part's name."""
    check_sizes({'embed_dim': config.get('embed_dim', 'nothing')}, f'{where}: ')
    for name in ('vision_cfg', 'text_cfg'):
        if not isinstance(config.get(name, {}), Mapping):
            raise ValueError(f'{where}: {name} must hold names and values, got {config[name]!r}')
        # null stands for a timm tower's own patch size
        check_sizes(
            {key: value for key, value in config.get(name, {}).items() if value is not None},
            f'{where}: {name}.',
        )
    settings = config.get('text_cfg', {}).get('tokenizer_kwargs')
    if not isinstance(settings, Mapping | None):
        raise ValueError(f'{where}: tokenizer_kwargs must hold names and values, got {settings!r}')


def check_sizes(part: Mapping, where: str) -> None:
    """Refuse sizes that are absurd, or no whole numbers or lists of such. Raises ValueError with the name."""
    for name in SIZES.keys() & part.keys():
        values = part[name] if isinstance(part[name], list | tuple) else [part[name]]
        for value in values:
            if type(value) is not int or not 1 <= value <= SIZES[name]:
                raise ValueError(
                    f'{where}{name} must be a whole number from 1 to {SIZES[name]}, got {part[name]!r}'
                )


def folder_weights(folder: Path) -> Path:
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f'{folder} has no weights file; expected one of {", ".join(WEIGHT_NAMES)}')
