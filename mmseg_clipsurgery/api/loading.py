"""`load`: a CLIP, a surgery and reading sizes become a `SurgeryModel`."""

from collections.abc import Mapping
from pathlib import Path

from mmseg.registry import MODELS

from ..clip.families import tower_class
from ..surgery import Surgery
from ..vocabulary import TemplatesSpec
from .input_sizes import InputSizes, Side
from .model import SurgeryModel
from .reader import Reader


def load(
    arch: str | Path | Mapping,
    pretrained: str | Path | None = None,
    surgery: str | Mapping | Surgery = 'clip_surgery',
    *,
    templates: TemplatesSpec = 'auto',
    quick_gelu: bool | None = None,
    checksum: str | None = None,
    cache_dir: str | None = None,
    text_cache: str | Path | bool | None = None,
    short_side: Side = 'auto',
    window: Side = 'auto',
    stride: Side = 'auto',
    explain_side: Side = 'auto',
    recognise_side: Side = 'auto',
    batch: int = 8,
) -> SurgeryModel:
    """A CLIP under a surgery, ready for photos and words.

    Args:
        arch, pretrained, quick_gelu, checksum, cache_dir: which CLIP, as for `CLIPSurgeryViT`: 'ViT-B-16' and
            'openai', a folder, 'scenes' (the embedded model), ...
        surgery: a name of `SURGERIES`, a dict of fields or a `Surgery`.
        templates: sentences around each word, see `read_templates`; 'auto': 'bare' for 'scenes', else 'imagenet80'.
        text_cache: folder of the disk cache of embedded words; None: the default one; False: none.
        short_side, window, stride: how large `segment` reads a photo, in pixels; `views` says what 'auto' is.
        explain_side, recognise_side: the short side for `recognise`, and for everything else.
        batch: photos of one size, or windows, that are read at once.

    Raises:
        ValueError, FileNotFoundError: unknown or contradictory arguments, missing files; see the parts.
    """
    own = dict(
        arch=arch, pretrained=pretrained, quick_gelu=quick_gelu, checksum=checksum, cache_dir=cache_dir
    )
    kind = tower_class(arch, cache_dir).__name__
    if templates == 'auto':
        templates = 'bare' if arch == 'scenes' else 'imagenet80'
    config = dict(
        type='CLIPSurgerySegmentor',
        backbone=dict(type=kind, surgery=surgery, **own),
        text_encoder=dict(type='OpenCLIPTextEncoder', templates=templates, text_cache=text_cache, **own),
    )
    segmentor = MODELS.build(config)
    sides = dict(
        segment=short_side, window=window, stride=stride, explain=explain_side, recognise=recognise_side
    )
    return SurgeryModel(Reader(segmentor, InputSizes.of(segmentor.backbone, sides), batch))
