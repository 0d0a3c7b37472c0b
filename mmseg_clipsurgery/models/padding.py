"""Images without the padding that a pipeline or a stock preprocessor added, by what MMSeg noted of each image.

Who pads            where            what is noted
preprocessor        four sides       `img_padding_size` or `padding_size`: left, right, top, bottom
mmcv's `Pad`        right, bottom    `pad_shape` (h, w, channels), the size afterwards; the image's own size is what
                                     `ori_shape` and the last resize's `scale_factor` (width, height) give
nobody              -                `pad_shape` (h, w), if any: `ResizeToMultiple`, whose image is whole

What was padded and then resized, cut or flipped is refused: it can't be told where the image ends.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor


def unpadded(inputs: Tensor | Sequence[Tensor], metas: Sequence[Mapping]) -> list[Tensor]:
    """Images of a batch, each "3 H W", without padding.

    Args:
        inputs: "b 3 H W" or a list of "3 H W".
        metas: what MMSeg noted of each image.

    Raises:
        ValueError: an image of another shape, not one meta for each image, or padding that can't be told from it.
    """
    if len(inputs) != len(metas):
        raise ValueError(f'got {len(inputs)} images and {len(metas)} data samples; give one for each image')
    images = []
    for image, meta in zip(inputs, metas, strict=True):
        if image.dim() != 3 or image.shape[0] != 3:
            raise ValueError(
                f'inputs must be "b 3 H W" or a list of "3 H W", got an image of shape {tuple(image.shape)}'
            )
        left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
        image = image[:, top : image.shape[1] - bottom, left : image.shape[2] - right]
        height, width = content_size(
            (image.shape[1], image.shape[2]), meta, bool(left + right + top + bottom)
        )
        images.append(image[:, :height, :width])
    return images


def content_size(size: tuple[int, int], meta: Mapping, preprocessor_padded: bool = False) -> tuple[int, int]:
    """The part of an image that a pipeline's `Pad` left at the top left, (height, width); all of it without one.

    Args:
        size: (height, width) without the preprocessor's padding.
        meta: what MMSeg noted of the image.
        preprocessor_padded: the preprocessor padded too, so its `pad_shape` stands in place of `Pad`'s.

    Raises:
        ValueError: the notes contradict each other, or the image was resized, cut or flipped after `Pad`.
    """
    own = own_size(meta)
    pad_shape = tuple(meta.get('pad_shape') or ())
    if own is None or not pad_shape or size == own:
        return size
    whole = len(pad_shape) == 2 and pad_shape == size and not preprocessor_padded  # resized, not padded
    if whole and ('scale_factor' in meta or (size[0] >= own[0] and size[1] >= own[1])):
        return size
    by_pad = len(pad_shape) == 3 and pad_shape[:2] == size and size[0] >= own[0] and size[1] >= own[1]
    if not by_pad or meta.get('flip'):
        raise ValueError(
            f'the pipeline makes an image of {size[0]} x {size[1]} (height x width) of one whose own size is '
            f'{own[0]} x {own[1]}, and pad_shape is {pad_shape}: let Pad follow Resize, without a flip, or leave it '
            'out, images of any size are taken'
        )
    return own


def own_size(meta: Mapping) -> tuple[int, int] | None:
    """(height, width) that an image has after its resize and before any padding; None where nothing is noted."""
    if 'ori_shape' not in meta or 'img_shape' not in meta:
        return None
    height, width = meta['ori_shape'][:2]
    scale = meta.get('scale_factor', (1.0, 1.0))
    across, down = scale[:2] if isinstance(scale, Sequence) or hasattr(scale, '__len__') else (scale, scale)
    return round(height * float(down)), round(width * float(across))
