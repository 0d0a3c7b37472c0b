"""CLIP Surgery over the embedded tiny CLIP, on the embedded scenes: runs anywhere, without a download.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
The scenes and the tiny CLIP are this project's own; what they show says nothing about real photos.
Command: python tools/test.py configs/clipsurgery_scenes.py
Raw CLIP: the same with --cfg-options model.backbone.surgery=clip
Expected mIoU: the table of the README, which is made from results of this command.
"""

_base_ = [
    './_base_/models/clip_surgery_scenes.py',
    './_base_/datasets/scenes.py',
    './_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'scenes'))
