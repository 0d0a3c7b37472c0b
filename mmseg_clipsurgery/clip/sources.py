"""Which model a user means: `resolve(arch, pretrained)` turns what is written into a `Source`.

    arch         an open_clip model name | a folder in open_clip's local-dir form | 'scenes' (the embedded model) |
                 'hf-hub:org/model' | a dict in the form of open_clip's model JSON | dict(name=one of these, ...), with
                 fields of its config that are replaced
    pretrained   an open_clip tag | a file | 'local-dir:FOLDER' | 'hf-hub:org/model' | 'scenes' | 'random' | None (a
                 folder's own weights where arch is one, else random weights, with a warning)

The towers and the tokenizer are built from a `Source`. The activation is never guessed (see `activation`). Only
open_clip's tables of models and tags and its download functions are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import open_clip
import open_clip.pretrained

from ..environment.files import reason
from ..environment.numbers import check_switch
from ..environment.paths import user_path
from .activation import decide_activation, tag_settings
from .archs import label_of, model_config, named_arch, read_arch
from .checkpoints import check_begins_as_weights, shown_activation
from .hub import of_tag
from .model_folders import as_folder, folder_weights, read_folder

RANDOM = 'random'


@dataclass(frozen=True)
class Source:
    """A resolved model.

    Attributes:
        label: what the user wrote, for messages.
        config: open_clip's model config (`embed_dim`, `vision_cfg`, `text_cfg`).
        weights: the file, or None for random weights.
        quick_gelu: whether the towers use QuickGELU.
        mean, std: RGB pixel statistics of its preprocessing, for values in [0, 1].
        folder: where relative names of the config (a tokenizer's merges) are found; None without a folder.
        checksum: SHA-256 the weights file must have, or None.
        fetches: whether what its config names may be downloaded from the hub: not where a local folder names it.
    """

    label: str
    config: dict
    weights: Path | None
    quick_gelu: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    folder: Path | None
    checksum: str | None = None
    fetches: bool = True


def resolve(
    arch: str | Path | Mapping,
    pretrained: str | Path | None = None,
    quick_gelu: bool | None = None,
    checksum: str | None = None,
    cache_dir: str | None = None,
) -> Source:
    """Find out what `arch` and `pretrained` name (see the module's head); nothing is built.

    Args:
        arch, pretrained: as above.
        quick_gelu: what the user says of the activation; needed for a plain weights file only.
        checksum: SHA-256 of the weights file.
        cache_dir: where downloads go; open_clip's own default where None. HF_HUB_OFFLINE is honoured.

    Raises:
        ValueError: unknown arch or tag, undecided or contradictory activation.
        FileNotFoundError: a folder, file or download is missing.
    """
    config, folder, preprocess = read_arch(arch, cache_dir)
    label = label_of(arch)
    arch = named_arch(arch) or arch
    preprocess = usual_statistics(arch) | preprocess
    said: dict[str, bool] = {}
    if quick_gelu is not None:
        check_switch('quick_gelu', quick_gelu)
        said['the argument quick_gelu'] = quick_gelu
    if 'quick_gelu' in config or folder:
        said[f'the config of {label}'] = bool(config.get('quick_gelu', False))
    weights, tag = find_weights(arch, pretrained, folder, cache_dir)
    if tag is not None:
        preprocess = preprocess | {key: tag[key] for key in ('mean', 'std') if tag.get(key)}
        if tag['quick_gelu'] is not None:
            said[repr(pretrained)] = tag['quick_gelu']
    elif weights is not None and (shown := shown_activation(weights)) is not None:
        said[f'the code in {weights.name}'] = shown
    if weights is not None and not said:
        check_begins_as_weights(weights)
    return Source(
        label=f'{label} ({pretrained})' if pretrained else str(label),
        config=config,
        weights=weights,
        quick_gelu=decide_activation(said, weights),
        mean=tuple(preprocess.get('mean', open_clip.OPENAI_DATASET_MEAN)),
        std=tuple(preprocess.get('std', open_clip.OPENAI_DATASET_STD)),
        folder=folder,
        checksum=checksum,
        fetches=folder is None or str(arch).startswith('hf-hub:'),
    )


def usual_statistics(arch: object) -> dict:
    """The pixel statistics that all of an arch's tags agree on, for a file of weights, which does not tell them.

    SigLIP's and others' are not OpenAI's, which stand for what nobody states.
    """
    name = str(arch).replace('/', '-') if isinstance(arch, str | Path) else ''
    tags = [
        open_clip.pretrained.get_pretrained_cfg(name, tag)
        for tag in open_clip.list_pretrained_tags_by_model(name)
    ]
    found = {tuple(tuple(tag.get(key) or ()) for key in ('mean', 'std')) for tag in tags}
    if len(found) != 1:
        return {}
    ((mean, std),) = found
    return {'mean': mean, 'std': std} if mean and std else {}


def find_weights(
    arch, pretrained, folder: Path | None, cache_dir: str | None
) -> tuple[Path | None, dict | None]:
    """`pretrained` -> (file or None, settings that come with it: mean, std, quick_gelu)."""
    if not isinstance(pretrained, str | Path | None):
        raise ValueError(f'pretrained must be a tag, a file or a folder, got {pretrained!r}')
    if pretrained == RANDOM:
        return None, None
    if pretrained is None:
        whole = as_folder(arch, cache_dir) if folder else None
        return (folder_weights(whole) if whole else None), None
    name = str(arch).replace('/', '-') if isinstance(arch, str | Path) and not folder else ''
    if tag := open_clip.pretrained.get_pretrained_cfg(name, str(pretrained)):
        return fetch_tag(name, str(pretrained), tag, cache_dir), tag_settings(
            name, str(pretrained), tag, bool((model_config(name) or {}).get('quick_gelu'))
        )
    if weights_folder := as_folder(pretrained, cache_dir):
        config, weights_folder, preprocess = read_folder(weights_folder)
        return folder_weights(weights_folder), preprocess | {
            'quick_gelu': bool(config.get('quick_gelu', False))
        }
    path = user_path(pretrained)
    if path.is_file():
        return path, None
    tags = open_clip.list_pretrained_tags_by_model(name)
    kind = FileNotFoundError if path.suffix or len(path.parts) > 1 else ValueError
    raise kind(
        f'pretrained={str(pretrained)!r} is neither an existing file nor a tag of {name or "this arch"}; its '
        f'tags: {", ".join(tags) or "none"}'
    )


def require_weights(
    arch: str | Path | Mapping, pretrained: str | Path | None, cache_dir: str | None = None
) -> None:
    """Refuse an arch without weights, where random ones would be no use and no tag is the obvious one.

    Raises:
        ValueError: `pretrained` is None and `arch` is no folder with weights of its own; the message names its tags.
    """
    if pretrained is not None or read_arch(arch, cache_dir)[1] is not None:
        return
    name = named_arch(arch)
    tags = open_clip.list_pretrained_tags_by_model(str(name).replace('/', '-')) if name else []
    raise ValueError(
        f'{label_of(arch)} alone names no weights: give pretrained, a file or one of its tags '
        f'({", ".join(tags) or "it has none"}), or {RANDOM!r} for random weights'
    )


def fetch_tag(arch: str, tag_name: str, tag: dict, cache_dir: str | None) -> Path:
    try:
        cached = of_tag(tag, cache_dir)
        return cached or Path(open_clip.pretrained.download_pretrained(tag, cache_dir=cache_dir))
    except Exception as error:  # urllib's, the hub's and open_clip's own errors alike
        raise FileNotFoundError(
            f'the weights {tag_name!r} of {arch} could not be fetched or found in the cache '
            f'({reason(error)}); check the network, give a file (pretrained, --weights), or use the '
            "embedded model 'scenes', which needs none"
        ) from None
