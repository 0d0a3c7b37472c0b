"""What the embedded model says of twenty fixed scenes, and the labels on record.

Where a word's lead over the next is within rounding, either is right: a tie.

    python tests/helpers/scenes_labels.py            # compare what this PyTorch says with the record
    python tests/helpers/scenes_labels.py --write    # record it: for new weights only
"""

import sys
from pathlib import Path

if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).parents[2]))

import mmseg_clipsurgery
from mmseg_clipsurgery.scenes import draw_scene, spec

import numpy as np

RECORD = Path(__file__).parents[1] / 'scenes' / 'labels.npz'
COUNT = 20  # scenes of `val`
TIE = 1e-4  # difference of scores, which are 40 times a cosine


def labels_and_leads() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each scene the labels "h w" and by how much the best score is above the second, "h w"."""
    model = mmseg_clipsurgery.load('scenes', text_cache=False)
    found = {}
    for index in range(COUNT):
        result = model.segment(draw_scene('val', index).image, list(spec.CLASSES), scores=True)
        second, best = np.sort(result.scores, axis=0)[-2:]
        found[f'val_{index:03d}'] = result.labels.astype(np.uint8), best - second
    return found


def recorded() -> dict[str, np.ndarray]:
    """Of each scene the labels "h w" on record."""
    with np.load(RECORD) as arrays:
        return dict(arrays)


def differences() -> dict[str, int]:
    """Of each scene the number of pixels whose label is not the recorded one, ties left out."""
    record = recorded()
    found = labels_and_leads()
    assert found.keys() == record.keys()
    return {
        name: int(((labels != record[name]) & (lead > TIE)).sum()) for name, (labels, lead) in found.items()
    }


def ties() -> float:
    """Share of the pixels that are ties: what the comparison leaves out."""
    leads = [lead.ravel() for _, lead in labels_and_leads().values()]
    return float((np.concatenate(leads) <= TIE).mean())


if __name__ == '__main__':
    import torch

    if sys.argv[1:] == ['--write']:
        np.savez_compressed(RECORD, **{name: labels for name, (labels, _) in labels_and_leads().items()})
    for threads in (1, 2, 8):
        torch.set_num_threads(threads)
        print(torch.__version__, threads, 'threads:', sum(differences().values()), 'pixels differ')
