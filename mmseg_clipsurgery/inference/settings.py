"""What `test_cfg` of a segmentor may say, checked before anything is loaded.

Thresholds give pixels to class 0, so they need a vocabulary whose class 0 is the background: with any other they ruin
the result, a known cause of an mIoU near 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch

from ..refine import pamr
from ..vocabulary import Vocabulary
from .precision import PRECISIONS


@dataclass(frozen=True)
class InferenceSettings:
    """What `test_cfg` may say.

    Args:
        mode: 'whole' or 'slide'.
        crop_size, stride: window and step in pixels, one number or (height, width); for 'slide'.
        logit_scale: factor before the softmax over queries, > 0.
        prob_thd: pixels whose best class score is below it become background.
        area_thd: share of the foreground's area that a class must exceed to be kept.
        window_batch: windows that the tower takes at once.
        pad_windows: pad windows to a multiple of the patch (ClearCLIP) instead of losing the remainder.
        pamr: None, or dict(iterations=10, dilations=(8, 16)): refine logits at the original size.
        scores: also return class scores "k H W" as `seg_logits`; labels alone never hold them for a whole image.
        maps: also return class similarities "k H W" before scale and softmax as `class_maps` (for heat maps and
            explainability; `decode_head.similarity` says which similarity).
        precision: 'fp32', 'bf16' or 'fp16': the tower's autocast.
        compiled: run the tower through torch.compile, where that works.
        chunk_memory: bytes for the logits of one chunk of rows; None: what suits the device.

    Raises:
        ValueError: an unknown setting or an illegal value.
    """

    mode: str = 'whole'
    crop_size: tuple[int, int] | int | None = None
    stride: tuple[int, int] | int | None = None
    logit_scale: float = 40.0
    prob_thd: float | None = None
    area_thd: float | None = None
    window_batch: int = 16
    pad_windows: bool = False
    pamr: Mapping | None = None
    scores: bool = False
    maps: bool = False
    precision: str = 'fp32'
    compiled: bool = False
    chunk_memory: int | None = None

    @property
    def windows(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """(crop, stride), each (height, width) in pixels; (None, None) where images are taken whole."""
        if self.mode == 'whole' or self.crop_size is None or self.stride is None:
            return None, None
        return pair(self.crop_size), pair(self.stride)

    @classmethod
    def read(cls, test_cfg: Mapping | None, patch: int) -> 'InferenceSettings':
        """Check a `test_cfg` against the tower's patch size in pixels."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(test_cfg or {}) - known)
        if unknown:
            raise ValueError(f'unknown test_cfg setting {unknown[0]!r}; there are {", ".join(sorted(known))}')
        settings = cls(**(test_cfg or {}))
        if settings.mode not in ('whole', 'slide'):
            raise ValueError(f"test_cfg.mode must be 'whole' or 'slide', got {settings.mode!r}")
        if settings.logit_scale <= 0 or settings.window_batch < 1:
            raise ValueError(
                f'test_cfg needs logit_scale > 0 and window_batch >= 1, got {settings.logit_scale} and '
                f'{settings.window_batch}'
            )
        for name in ('prob_thd', 'area_thd'):
            value = getattr(settings, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f'test_cfg.{name} must lie between 0 and 1, or be None, got {value}')
        if settings.precision not in PRECISIONS:
            raise ValueError(
                f'test_cfg.precision must be one of {", ".join(PRECISIONS)}, got {settings.precision!r}'
            )
        if settings.pamr is not None:
            try_pamr(settings.pamr)
        return settings if settings.mode == 'whole' else settings.with_windows(patch)

    def with_windows(self, patch: int) -> 'InferenceSettings':
        """The same with crop and stride as pairs, checked."""
        if self.crop_size is None or self.stride is None:
            raise ValueError(
                "test_cfg.mode='slide' needs crop_size and stride, for instance (224, 224) and (112, 112)"
            )
        crop, stride = (pair(value) for value in (self.crop_size, self.stride))
        if min(crop) < patch:
            raise ValueError(
                f'test_cfg.crop_size {crop} is smaller than a patch ({patch} pixels); make it larger'
            )
        if min(stride) < 1 or stride[0] > crop[0] or stride[1] > crop[1]:
            raise ValueError(
                f'test_cfg.stride {stride} must lie between 1 and crop_size {crop}, or pixels are missed'
            )
        return replace(self, crop_size=crop, stride=stride)


def try_pamr(settings: Mapping) -> None:
    """Refuse settings that `pamr` would refuse later, by refining one pixel.

    Raises:
        ValueError: names the settings.
    """
    try:
        pamr(torch.zeros(1, 3, 1, 1), torch.zeros(1, 1, 1, 1), **settings)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'test_cfg.pamr must be like dict(iterations=10, dilations=(8, 16)), got {settings}: {error}'
        ) from error


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """One number or two, as a config gives them, as (height, width)."""
    height, width = (value, value) if isinstance(value, int) else value
    return height, width


def check_thresholds(settings: InferenceSettings, vocabulary: Vocabulary) -> None:
    """Refuse thresholds that would give pixels to a class 0 that is no background.

    Raises:
        ValueError: prob_thd or area_thd with such a vocabulary.
    """
    used = [name for name in ('prob_thd', 'area_thd') if getattr(settings, name) is not None]
    if used and not vocabulary.has_background:
        raise ValueError(
            f'test_cfg.{used[0]} gives pixels to class 0, which is {vocabulary.classes[0]!r} here; it needs a '
            "vocabulary whose class 0 is 'background', so set it to None"
        )
