"""Pixels in: normalised, never padded, images of different sizes side by side.

MMSeg's own preprocessor asserts equal sizes in a batch and stacks; here a batch in test mode is a list.
"""

from collections.abc import Mapping, Sequence

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..environment.numbers import check_number
from ..inference.normalization import Statistics, normalize_image, tower_statistics

TOLERANCE = 0.01  # grey levels of 255


@MODELS.register_module()
class CLIPSurgeryDataPreProcessor(SegDataPreProcessor):
    """Normalises images and hands them over as a list of unpadded "3 H W"; settings as MMSeg's.

    Args:
        mean, std: per RGB channel, in grey levels 0 to 255; None: pixels stay as they are.
        bgr_to_rgb: True for images as MMSeg loads them.
    """

    def __init__(self, mean: Sequence[float] | None = None, std: Sequence[float] | None = None, **settings):
        for name, values in (('mean', mean), ('std', std)):
            for value in values or []:
                check_number(f'data_preprocessor.{name}', value)
        super().__init__(mean=mean, std=std, **settings)
        # An attribute of MMEngine's: pinned images are copied to the device while it still computes.
        self._non_blocking = True
        # Kept apart from the module's buffers, which .half() would round.
        self.statistics = Statistics.of(mean or [], std or [])

    def forward(self, data: dict, training: bool = False) -> dict:
        """Data of a data loader -> dict(inputs=[each "3 H W", fp32], data_samples=...).

        Args:
            data: `inputs`, images "3 H W" in grey levels, and `data_samples`.
            training: changes nothing; the segmentor refuses training with a reason.

        Raises:
            ValueError: an image that is not three channels of 8 bits or floating point, or no images.
        """
        if not isinstance(data, dict) or 'inputs' not in data:
            raise ValueError("the test pipeline gives no 'inputs': let it end in PackSegInputs")
        data = self.cast_data(data)
        return dict(
            inputs=[self.normalize(image) for image in data['inputs']], data_samples=data.get('data_samples')
        )

    def normalize(self, image: Tensor) -> Tensor:
        """One image "3 H W" in grey levels -> normalised, RGB, fp32 whatever the model's dtype."""
        if image.dim() != 3 or image.shape[0] != 3:
            raise ValueError(f'an image must be "3 H W" (three channels), got shape {tuple(image.shape)}')
        if image.dtype != torch.uint8 and not image.is_floating_point():
            raise ValueError(
                f'an image must be uint8 or floating point, grey levels 0 to 255, got {image.dtype}'
            )
        image = image.flip(0) if converts_channels(self) else image
        return normalize_image(image, self.statistics) if self._enable_normalize else image.float()


def default_preprocessor(tower: nn.Module) -> dict:
    """Config of the preprocessor that a tower expects, for BGR images."""
    return dict(type='CLIPSurgeryDataPreProcessor', bgr_to_rgb=True, **tower_statistics(tower))


def check_preprocessor(preprocessor: nn.Module, tower: nn.Module) -> None:
    """Refuse a preprocessor that would feed the tower other pixels than it was trained on.

    Args:
        preprocessor: ours or MMSeg's `SegDataPreProcessor`.
        tower: has `mean`, `std` (RGB, for values in [0, 1]) and `label`.

    Raises:
        ValueError: mean, std or channel order is not the tower's; the message has the right values.
    """
    expected = tower_statistics(tower)
    if not getattr(preprocessor, '_enable_normalize', False):
        raise ValueError(f'the data_preprocessor does not normalise; {tower.label} needs {expected}')
    for name, values in expected.items():
        found = getattr(preprocessor, name).flatten().tolist()
        if len(found) != 3 or not all(abs(a - b) <= TOLERANCE for a, b in zip(found, values, strict=True)):
            raise ValueError(
                f'data_preprocessor.{name} is {found}, {tower.label} needs {values} (RGB, 0 to 255)'
            )
    if not converts_channels(preprocessor):
        raise ValueError('data_preprocessor must have bgr_to_rgb=True: MMSeg loads BGR, CLIP expects RGB')


def converts_channels(preprocessor: nn.Module) -> bool:
    """Whether BGR becomes RGB: `channel_conversion` in MMSegmentation 1.2, `_channel_conversion` in the fork."""
    names = ('_channel_conversion', 'channel_conversion')
    return any(getattr(preprocessor, name, False) for name in names)


def flipped_dims(meta: Mapping) -> tuple[int, ...]:
    """Which dimensions of "c H W" a test-time flip reversed, from what MMSeg noted of the image.

    Raises:
        ValueError: an unknown direction.
    """
    if not meta.get('flip'):
        return ()
    direction = meta.get('flip_direction')
    dims = {'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}
    if direction not in dims:
        raise ValueError(f'flip_direction must be one of {", ".join(dims)}, got {direction!r}')
    return dims[direction]
