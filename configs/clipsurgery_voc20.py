"""CLIP Surgery, ViT-B/16, PASCAL VOC 2012 without background: the leaderboard protocol (SCLIP's).

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/clipsurgery_voc20.py
Expected mIoU (none measured by this project):
  not published by the authors
  80.1  one later paper, SCLIP protocol; provenance unstated, orientation only
"""

_base_ = [
    './_base_/models/clip_surgery_vit-b16_openai.py',
    './_base_/datasets/voc20.py',
    './_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'voc20'))
