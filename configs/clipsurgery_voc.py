"""CLIP Surgery, ViT-B/16, PASCAL VOC 2012 with background: the leaderboard protocol (SCLIP's).

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/clipsurgery_voc.py
Expected mIoU (none measured by this project):
  not published by the authors
  41.2  re-run in the GEM paper (CVPR 2024), its own protocol
  59.0  one later paper, SCLIP protocol; provenance unstated, orientation only
"""

_base_ = [
    './_base_/models/clip_surgery_vit-b16_openai.py',
    './_base_/datasets/voc21.py',
    './_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'voc21'))
