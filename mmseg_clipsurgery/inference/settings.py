"""What `test_cfg` of a segmentor may say, checked before anything is loaded.

Thresholds give pixels to class 0, so they need a vocabulary whose class 0 is the background: with any other they ruin
the result, a known cause of an mIoU near 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch

from ..environment.numbers import check_count, check_number, check_positive, check_switch
from ..explainers.table import explainer_named
from ..methods.same_label import SameLabelFeedback
from ..refine import pamr
from ..vocabulary import Vocabulary
from .precision import PRECISIONS

DEPICTED = 'depicted'  # the setting of `maps` under which an image's truth says which


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
        pad_windows: True: pad windows to a multiple of the patch (ClearCLIP) instead of losing the remainder; a number:
            to a multiple of so many pixels (ProxyCLIP: 56).
        pamr: None, or dict(iterations=10, dilations=(8, 16)): refine logits at the original size.
        feedback: None, or dict(scale=1.8, share=0.7, floor=0.25): read each window twice, the second time with a bias
            made of the first reading's labels (ResCLIP's SFR, see `methods.same_label`); needs two words or more.
        scores: also return class scores "k H W" as `seg_logits`; labels alone never hold them for a whole image.
        maps: also return class similarities "k H W" before scale and softmax as `class_maps` (for heat maps and
            explainability; `decode_head.similarity` says which similarity). 'depicted': of the classes alone that an
            image's truth holds, "n H W", and their indices as `map_classes`; then there are no labels and no scores.
        explainer: None, or a name of `explainers.table.EXPLAINERS`, such as 'legrad': `class_maps` are its maps of the
            whole image in place of similarities; for mode='whole' and maps=True. Labels stay as they are.
        calibration: where calibrated settings come from, dict(images=10, source=...), for results to say; the
            segmentor and configs take the file that `mmseg-clipsurgery calibrate` wrote, and put its settings in place
            of those beside it (`calibration_files`).
        precision: 'fp32', 'bf16' or 'fp16': the tower's autocast; 'tf32': fp32 whose products may be TF32 on a GPU.
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
    pad_windows: bool | int = False
    pamr: Mapping | None = None
    feedback: Mapping | None = None
    scores: bool = False
    maps: bool | str = False
    explainer: str | None = None
    calibration: Mapping | None = None
    precision: str = 'fp32'
    compiled: bool = False
    chunk_memory: int | None = None

    @property
    def windows(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """(crop, stride), each (height, width) in pixels; (None, None) where images are taken whole."""
        if self.mode == 'whole' or self.crop_size is None or self.stride is None:
            return None, None
        return pair(self.crop_size), pair(self.stride)

    def pad_to(self, patch: int) -> int | None:
        """Pixels that a padded window's sides are multiples of, for a tower's patch size; None: windows stay."""
        return (patch if self.pad_windows is True else self.pad_windows) or None

    @classmethod
    def read(cls, test_cfg: Mapping | None, patch: int) -> 'InferenceSettings':
        """Check a `test_cfg` against the tower's patch size in pixels."""
        known = {field.name for field in fields(cls)}
        if not isinstance(test_cfg, Mapping | None):
            raise ValueError(f'test_cfg must hold names and values, got {test_cfg!r}')
        unknown = sorted(set(test_cfg or {}) - known)
        if unknown:
            raise ValueError(f'unknown test_cfg setting {unknown[0]!r}; there are {", ".join(sorted(known))}')
        settings = cls(**(test_cfg or {}))
        if settings.mode not in ('whole', 'slide'):
            raise ValueError(f"test_cfg.mode must be 'whole' or 'slide', got {settings.mode!r}")
        settings.check_numbers()
        if settings.precision not in list(PRECISIONS):
            raise ValueError(
                f'test_cfg.precision must be one of {", ".join(PRECISIONS)}, got {settings.precision!r}'
            )
        if not isinstance(settings.calibration, Mapping | None):
            raise ValueError(
                f'test_cfg.calibration must be a file in the test_cfg of a segmentor, got {settings.calibration!r} '
                'elsewhere; put it there'
            )
        if settings.explainer is not None:
            check_explainer_settings(settings, settings.explainer)
        if settings.pamr is not None:
            try_pamr(settings.pamr)
        if settings.feedback is not None:
            try_feedback(settings.feedback)
        return settings if settings.mode == 'whole' else settings.with_windows(patch)

    def check_numbers(self) -> None:
        """Refuse numbers out of range, and what is no number. Raises ValueError with the setting's name."""
        check_positive('test_cfg.logit_scale', self.logit_scale)
        check_count('test_cfg.window_batch', self.window_batch)
        for name in ('prob_thd', 'area_thd'):
            if getattr(self, name) is not None:
                check_number(f'test_cfg.{name}', getattr(self, name), 0, 1)
        if self.chunk_memory is not None:
            check_count('test_cfg.chunk_memory', self.chunk_memory)
        if type(self.pad_windows) not in (bool, int) or self.pad_windows < 0:
            raise ValueError(
                f'test_cfg.pad_windows must be True, False or a number of pixels, got {self.pad_windows!r}'
            )
        for name in ('scores', 'compiled'):
            check_switch(f'test_cfg.{name}', getattr(self, name))
        if self.maps != DEPICTED and not isinstance(self.maps, bool):
            raise ValueError(f'test_cfg.maps must be True or False, or {DEPICTED!r}, got {self.maps!r}')
        if self.scores and self.maps == DEPICTED:
            raise ValueError(f'test_cfg.maps={DEPICTED!r} leaves no scores of all classes: set scores=False')

    def with_windows(self, patch: int) -> 'InferenceSettings':
        """The same with crop and stride as pairs, checked."""
        if self.crop_size is None or self.stride is None:
            raise ValueError(
                "test_cfg.mode='slide' needs crop_size and stride, for instance (224, 224) and (112, 112)"
            )
        crop, stride = (pair(getattr(self, name), f'test_cfg.{name}') for name in ('crop_size', 'stride'))
        if min(crop) < patch:
            raise ValueError(
                f'test_cfg.crop_size {crop} is smaller than a patch ({patch} pixels); make it larger'
            )
        if min(stride) < 1 or stride[0] > crop[0] or stride[1] > crop[1]:
            raise ValueError(
                f'test_cfg.stride {stride} must lie between 1 and crop_size {crop}, or pixels are missed'
            )
        return replace(self, crop_size=crop, stride=stride)


def check_explainer_settings(settings: InferenceSettings, name: str) -> None:
    """Refuse an explainer that is unknown, has nothing to fill, or takes gradients where there are none.

    Raises:
        ValueError: names the setting.
    """
    explainer = explainer_named(name)
    if not settings.maps or settings.mode != 'whole':
        raise ValueError(
            f'test_cfg.explainer={name!r} explains whole images and fills class_maps; set maps=True and '
            f"mode='whole', got maps={settings.maps} and mode={settings.mode!r}"
        )
    if explainer.differentiates and (PRECISIONS[settings.precision] is not None or settings.compiled):
        raise ValueError(
            f"test_cfg.explainer={name!r} takes gradients, in fp32 and not compiled; set precision='fp32' and "
            f'compiled=False, got precision={settings.precision!r} and compiled={settings.compiled}'
        )


def try_pamr(settings: Mapping) -> None:
    """Refuse settings that `pamr` would refuse later, by refining one pixel.

    Raises:
        ValueError: names the settings.
    """
    try:
        check_count('iterations', settings.get('iterations'), least=0, most=1000)
        for dilation in settings.get('dilations') or ():
            check_count('dilations', dilation, most=1024)
        pamr(torch.zeros(1, 3, 1, 1), torch.zeros(1, 1, 1, 1), **settings)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f'test_cfg.pamr must be like dict(iterations=10, dilations=(8, 16)), got {settings}: {error}'
        ) from error


def try_feedback(settings: Mapping) -> None:
    """Refuse settings that `SameLabelFeedback` would refuse later. Raises ValueError that names them."""
    if not isinstance(settings, Mapping):
        raise ValueError(f'test_cfg.feedback must be like dict(scale=1.8), got {settings!r}')
    try:
        SameLabelFeedback(torch.zeros(2, 1), 1.0, **settings)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'test_cfg.feedback must be like dict(scale=1.8, share=0.7, floor=0.25), got {dict(settings)}: {error}'
        ) from error


def pair(value: int | Sequence[int], name: str = 'a size') -> tuple[int, int]:
    """One number or two, as a config gives them, as (height, width). Raises ValueError for anything else."""
    numbers = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(numbers) != 2:
        raise ValueError(f'{name} must be one number or (height, width), got {value!r}')
    for number in numbers:
        check_count(name, number)
    return numbers


def check_thresholds(settings: InferenceSettings, vocabulary: Vocabulary) -> None:
    """Refuse thresholds that would give pixels to a class 0 that is no background.

    Raises:
        ValueError: prob_thd or area_thd with such a vocabulary.
    """
    used = [name for name in ('prob_thd', 'area_thd') if getattr(settings, name) is not None]
    if used and not vocabulary.has_background:
        raise ValueError(
            f'test_cfg.{used[0]} gives pixels to class 0, which is {vocabulary.classes[0]!r} here; it needs a '
            f"vocabulary whose class 0 is 'background', so set it to None{written_without_name(vocabulary)}"
        )


def check_feedback_words(settings: InferenceSettings, vocabulary: Vocabulary) -> None:
    """Refuse feedback where there is one word alone: every patch would have its label. Raises ValueError."""
    if settings.feedback is not None and len(vocabulary.queries) < 2:
        raise ValueError(
            f'test_cfg.feedback labels patches by the words, and there is {vocabulary.queries[0]!r} alone; give two '
            'words or more, or leave feedback out'
        )


def written_without_name(vocabulary: Vocabulary) -> str:
    """How to write a background whose line lists its words alone, as public word files do; '' for a single word."""
    words = [word for word, k in zip(vocabulary.queries, vocabulary.class_of, strict=True) if k == 0]
    if len(words) == 1:
        return ''
    return f"; if these words are the background's, write 'background: {', '.join(words[:3])}, ...'"
