"""Masks with labels above 255: MMSeg's loader keeps 8 bits.

Where MMSeg's `LoadAnnotations` hard-codes 255, the ignored label here is 65535. The inferencers take a pipeline's
`LoadAnnotations` out by that very name, as a photo has no mask; this loader they leave in, so it does nothing where
there is no `seg_map_path`.
"""

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmseg.registry import TRANSFORMS

from .mask_encodings import IGNORED_16_BIT


@TRANSFORMS.register_module()
class LoadDeepAnnotations(BaseTransform):
    """Load a one-channel mask of 8 or 16 bits (PNG, TIFF).

    Reads `seg_map_path`, `reduce_zero_label` and `label_map`; adds `gt_seg_map`, int32 "h w", and its name to
    `seg_fields`. With `reduce_zero_label` label 0 becomes 65535 and the others move down by one.

    Args:
        imdecode_backend: of `mmcv.imfrombytes`.
        backend_args: of `mmengine.fileio.get`.
    """

    def __init__(self, imdecode_backend: str = 'pillow', backend_args: dict[str, Any] | None = None) -> None:
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the mask, if the image has one.

        Raises:
            ValueError: the mask has several channels.
        """
        if not results.get('seg_map_path'):
            return results
        data = fileio.get(results['seg_map_path'], backend_args=self.backend_args)
        labels = mmcv.imfrombytes(data, flag='unchanged', backend=self.imdecode_backend)
        if labels.ndim != 2:
            raise ValueError(
                f'the mask {results["seg_map_path"]} has {labels.shape[2]} channels: a mask has one, of 8 or 16 bits'
            )
        labels = labels.astype(np.int32)
        if results.get('reduce_zero_label'):
            ignored = (labels == 0) | (labels == IGNORED_16_BIT)
            labels = np.where(ignored, IGNORED_16_BIT, labels - 1)
        label_map = results.get('label_map')
        if label_map:
            labels = mapped(labels, label_map)
        results['gt_seg_map'] = labels
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(imdecode_backend={self.imdecode_backend!r})'


def mapped(labels: np.ndarray, label_map: dict[int, int]) -> np.ndarray:
    """Replace old labels by new ones, all at once; a label that is not named stays.

    Args:
        labels: "h w".
        label_map: old label -> new label.
    """
    out = labels.copy()
    for old, new in label_map.items():
        # A data set of selected classes maps the others to its own ignored label, which may be written as -1 or 255.
        out[labels == old] = new
    return out
