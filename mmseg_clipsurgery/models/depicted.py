"""Maps of the classes alone that an image's truth holds, where there are too many classes for a map of each.

    truth of an image -> classes it shows -> their queries -> maps "n H W" of n classes, n a handful of thousands

Whatever weighs words against each other (feature surgery) still sees all of them; only their maps are left out.
"""

from collections.abc import Sequence

import torch
from mmseg.structures import SegDataSample

from ..structures import TextQueries


def depicted_classes(sample: SegDataSample, count: int) -> list[int]:
    """Indices of the classes that an image shows, in order: those of its points, or of its mask.

    Args:
        sample: with `gt_points`, class index -> points, or `gt_sem_seg` "1 H W".
        count: number of classes; other labels are no classes.

    Raises:
        ValueError: the sample has neither.
    """
    if 'gt_points' in sample:
        found = list(sample.gt_points)
    elif 'gt_sem_seg' in sample:
        found = sample.gt_sem_seg.data.unique().tolist()
    else:
        raise ValueError(
            "test_cfg.maps='depicted' draws maps of the classes that the truth holds, and there is none: set maps=True"
        )
    return sorted(k for k in found if 0 <= k < count)


def asking_for(queries: TextQueries, classes: Sequence[int]) -> TextQueries:
    """The same queries, of which the logits of these classes' are wanted."""
    wanted = torch.tensor(classes, device=queries.class_of.device)
    return queries._replace(asked=torch.isin(queries.class_of, wanted).nonzero()[:, 0])
