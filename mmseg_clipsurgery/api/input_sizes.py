"""How large each task takes a photo; the defaults follow the size S (pixels) the tower was trained at.

                S >= 224 (CLIP)                                            smaller (the embedded tower)
    segment     short side 1.5 S, windows of S every S / 2                 short side S, whole
    explain     short side 16/7 S, whole                                   short side S, whole
    recognise   short side S, whole                                        the same

For 224 pixels these are the leaderboard's 336 / 224 / 112 and CLIP Surgery's 512. The ratio of the sides is kept (the
authors squeeze to a square), the long side ends at 2048. Segmentation resizes as the configs' pipelines do (bilinear,
aliasing where it shrinks); photos that are taken whole are averaged where they shrink, and rounded to whole patches, so
that no border is left out of a map. Where a side would be less than a patch (strips, tiny photos), it becomes a patch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..clip.tower import ImageTower
from .opencv import resize, size_within
from .pixels import Pixels

LONG_SIDE = 2048
MOST = 4 * LONG_SIDE  # of a size that is given: beyond it a photo takes hours
CLIP_SIZE = 224  # the smallest size a CLIP is trained at
Side: TypeAlias = int | Literal['auto'] | None
Size: TypeAlias = tuple[int, int]


def said(field: str) -> str:
    """The argument of `load` that a field of `InputSizes` comes from."""
    return {'segment': 'short_side', 'explain': 'explain_side', 'recognise': 'recognise_side'}.get(
        field, field
    )


@dataclass(frozen=True)
class InputSizes:
    """Sizes in pixels; None: an image's own size (sides), no windows (window, stride).

    Raises:
        ValueError: a size below one, or above `MOST`.
    """

    segment: int | None
    window: int | None
    stride: int | None
    explain: int | None
    recognise: int | None

    def __post_init__(self) -> None:
        check_sides(vars(self))

    @classmethod
    def of(cls, tower: ImageTower, given: Mapping[str, Side]) -> 'InputSizes':
        """The defaults of a tower, but for what is given.

        Args:
            tower: has `trained_grid` and `patch`.
            given: field -> size; 'auto' or absent: the default. Windows belong together: with a window of your own the
                stride is half of it.
        """
        trained = min(tower.trained_grid) * tower.patch
        large = trained >= CLIP_SIZE
        chosen = {name: size for name, size in given.items() if size != 'auto'}
        window = chosen.get('window', trained if large else None)
        if window is None and chosen.get('stride') is not None:
            raise ValueError(f'got the stride {chosen["stride"]!r} and no window; give both, or neither')
        defaults: dict[str, Any] = dict(
            segment=round(1.5 * trained) if large else trained,
            window=window,
            stride=max(1, window // 2) if isinstance(window, int) else None,
            explain=round(trained * 16 / 7) if large else trained,
            recognise=trained,
        )
        return cls(**{**defaults, **chosen})

    def inference(self) -> dict[str, Any]:
        """The part of `InferenceSettings` that says which windows are taken."""
        if self.window is None:
            return dict(mode='whole')
        return dict(mode='slide', crop_size=self.window, stride=self.stride)

    def tower_input(self, task: str, size: Size, patch: int) -> Size:
        """The size (height, width) at which the tower takes a photo of a size: of windows, the window's.

        Args:
            task: 'segment', 'explain' or 'recognise'.
            size: the photo's (height, width) in pixels.
            patch: of the tower, in pixels.
        """
        if task != 'segment':
            return size_in_patches(size, getattr(self, task), patch)
        height, width = size_of_short_side(size, self.segment, patch)
        return (height, width) if self.window is None else (min(height, self.window), min(width, self.window))


def check_sides(given: Mapping[str, Side]) -> None:
    """Refuse sizes that no photo can have; 'auto' and None are none. Raises ValueError."""
    for name, value in given.items():
        if value is None or value == 'auto':
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{said(name)} must be a number of pixels, None or 'auto', got {value!r}")
        if value > MOST:
            raise ValueError(f'{said(name)} must be at most {MOST} pixels, got {value}')


def with_short_side(pixels: Pixels, short_side: int | None, patch: int) -> Pixels:
    """Resize "H W 3" as MMSeg's `Resize(scale=(2048, short_side), keep_ratio=True)`; None: as it is.

    A strip is stretched across, so that each side is at least a `patch`, which the tower needs to read anything.
    """
    own = (pixels.shape[0], pixels.shape[1])
    size = size_of_short_side(own, short_side, patch)
    return pixels if short_side is None and size == own else resize(pixels, size)


def size_of_short_side(own: Size, short_side: int | None, patch: int) -> Size:
    """The size (height, width) that `with_short_side` gives an image of its own size."""
    height, width = own if short_side is None else size_within(own, short_side, LONG_SIDE)
    return max(patch, height), max(patch, width)


def whole_patches(pixels: Pixels, short_side: int | None, patch: int) -> Pixels:
    """Resize "H W 3" to about `short_side`, both sides rounded to a multiple of `patch`, at least one."""
    height, width = size_in_patches((pixels.shape[0], pixels.shape[1]), short_side, patch)
    if (height, width) == pixels.shape[:2]:
        return pixels
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    return resize(pixels, (height, width), 'area' if shrinks else 'bicubic')


def size_in_patches(own: Size, short_side: int | None, patch: int) -> Size:
    """The size (height, width) that `whole_patches` gives an image of its own size."""
    sides = np.array(own, dtype=np.float64)
    if short_side is not None:
        sides *= min(short_side / sides.min(), LONG_SIDE / sides.max())
    height, width = (max(patch, int(side / patch + 0.5) * patch) for side in sides)
    return height, width
