"""Which activation a CLIP uses, QuickGELU or GELU: never guessed.

A tag's table decides, a TorchScript archive's code shows it, a folder's config says it; a plain file cannot tell, so it
must be said (`quick_gelu`, in the arch dict, or by a `-quickgelu` name). Two that disagree are an error.
"""

import logging
from pathlib import Path

import open_clip.pretrained

logger = logging.getLogger('mmseg_clipsurgery')


def tag_settings(arch: str, tag_name: str, tag: dict, arch_says: bool) -> dict:
    """A tag's settings with its activation.

    Newer releases of open_clip mark QuickGELU in the tag; in older ones the tag is OpenAI's, the file's name tells, or
    the same file is listed under the `-quickgelu` name too. Whatever is not so marked uses GELU, unless the arch's own
    config says otherwise (then None).

    Args:
        arch, tag_name: open_clip's names.
        tag: open_clip's entry.
        arch_says: whether the arch's own config says QuickGELU.

    Returns:
        The entry with `quick_gelu`: True, False, or None where the arch's config decides.
    """
    same_arch = open_clip.pretrained.get_pretrained_cfg(f'{arch}-quickgelu', tag_name) or {}
    same = [key for key in ('url', 'hf_hub') if tag.get(key) and tag[key] == same_arch.get(key)]
    named = tag_name.lower() == 'openai' or 'quickgelu' in (tag.get('url') or '')
    if tag.get('quick_gelu') or named or same:
        return dict(tag) | {'quick_gelu': True}
    return dict(tag) | {'quick_gelu': None if arch_says else False}


def decide_activation(said: dict[str, bool], weights: Path | None) -> bool:
    """Reconcile every source's claim about QuickGELU, or raise; the result is logged at debug level.

    Args:
        said: source, in words -> whether it says QuickGELU.
        weights: the file, or None for random weights.

    Returns:
        Whether QuickGELU is used.

    Raises:
        ValueError: two sources disagree, or a plain weights file leaves it open.
    """
    if len(set(said.values())) > 1:
        parts = ', '.join(f'{who} says {value}' for who, value in said.items())
        raise ValueError(f'contradictory activation: {parts} for quick_gelu; correct the one that is wrong')
    if said:
        (quick_gelu,) = set(said.values())
    elif weights is None:
        quick_gelu = False
    else:
        raise ValueError(
            f"{weights} does not tell its activation: say quick_gelu=True (OpenAI's, MetaCLIP's and "
            "DFN's models) or quick_gelu=False (most others)"
        )
    logger.debug(
        '%s: activation %s (by %s)',
        weights or 'random weights',
        'QuickGELU' if quick_gelu else 'GELU',
        ', '.join(said) or 'default',
    )
    return quick_gelu
