"""Results of explainers as the table keeps them, without a run."""

from typing import Any

from mmseg_clipsurgery import scenes

METRICS = {'AP': 70.126, 'flat_AP': 30.0, 'map_mIoU': 60.5, 'threshold': 0.5, 'mSC': -3.2, 'pairs': 7.0}


def result(explainer: str, ap: float | None = 70.126, data_set: str = 'scenes', **parts: Any) -> dict:
    """A result whose leading figure is `ap`."""
    return {
        'run': {'explainer': explainer, 'data_set': data_set, 'data': {'scenes': scenes.VERSION}},
        'cost': 1.25,
        'metrics': {**METRICS, 'AP': ap},
        'protocol': {},
        **parts,
    }
