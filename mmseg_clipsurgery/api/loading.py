"""`load`: a CLIP, a surgery and input sizes become a `SurgeryModel`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clip.archs import named_arch
from ..clip.families import build_tower
from ..clip.sources import require_weights
from ..clip.text_encoder import OpenCLIPTextEncoder
from ..compatibility import check_has_guide
from ..environment.numbers import check_count
from ..guides import build_guide
from ..surgery import Surgery
from ..vocabulary import TemplatesSpec, read_templates
from .encoders import Encoders
from .input_sizes import InputSizes, Side, check_sides
from .model import SurgeryModel
from .reading import MAX_PIXELS, Reading


def load(
    arch: str | Path | Mapping,
    pretrained: str | Path | None = None,
    surgery: str | Mapping | Surgery = 'clip_surgery',
    *,
    guide: Mapping | None = None,
    templates: TemplatesSpec = 'auto',
    quick_gelu: bool | None = None,
    checksum: str | None = None,
    cache_dir: str | None = None,
    text_cache: str | Path | bool | None = None,
    layer: int | None = None,
    short_side: Side = 'auto',
    window: Side = 'auto',
    stride: Side = 'auto',
    explain_side: Side = 'auto',
    recognise_side: Side = 'auto',
    batch: int = 8,
    bit_depth: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> SurgeryModel:
    """A CLIP under a surgery, ready for photos and words.

    Args:
        arch, pretrained, quick_gelu, checksum, cache_dir: which CLIP, as for `CLIPSurgeryViT`: 'ViT-B-16' and
            'openai', a folder, 'scenes' (the embedded model), ... Random weights only where pretrained is 'random'.
        surgery: a name of `SURGERIES`, a dict of fields or a `Surgery`.
        guide: a second tower for surgeries that read its features (`proxyclip`), such as
            dict(type='DINOViT', arch='vitb8', pretrained=FILE); see `guides`.
        templates: sentences around each word, see `read_templates`; 'auto': 'bare' for 'scenes', else 'imagenet80'.
        text_cache: folder of the disk cache of embedded words; None: the default one; False: none.
        layer: the block at which patches are read, counted from 1; None: the last one. Not for ResNets.
        short_side, window, stride: how large `segment` takes a photo, in pixels; `input_sizes` says what 'auto' is.
        explain_side, recognise_side: the short side for everything else, and for `recognise`.
        batch: photos of one size, or windows, that the tower takes at once.
        bit_depth, max_pixels: how images are read, see `Reading`.

    Raises:
        ValueError, FileNotFoundError: unknown or contradictory arguments, missing files; see the parts.
    """
    # A mistake in an argument must not wait for weights that are fetched and read.
    reading = Reading(bit_depth, max_pixels)
    sides = dict(
        segment=short_side, window=window, stride=stride, explain=explain_side, recognise=recognise_side
    )
    check_sides(sides)
    check_count('batch', batch)
    if templates == 'auto':
        templates = 'bare' if named_arch(arch) == 'scenes' else 'imagenet80'
    templates = read_templates(templates)
    check_has_guide(guide, Surgery.read(surgery))
    source: dict[str, Any] = dict(
        arch=arch, pretrained=pretrained, quick_gelu=quick_gelu, checksum=checksum, cache_dir=cache_dir
    )
    require_weights(arch, pretrained, cache_dir)
    tower = build_tower(surgery=surgery, layer=layer, **source)
    text = OpenCLIPTextEncoder(templates=templates, text_cache=text_cache, **source)
    second = None if guide is None else build_guide(guide)
    encoders = Encoders(tower, text, tower.surgery, InputSizes.of(tower, sides), batch, second)
    return SurgeryModel(encoders, reading)
