"""CLIP Surgery, ViT-B/16, ADE20K with 847 classes: the defaults of the leaderboard protocol (SCLIP's).

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/clipsurgery_ade20k_847.py
Expected mIoU: not published; the protocol's authors don't use this data set.
"""

_base_ = [
    './_base_/models/clip_surgery_vit-b16_openai.py',
    './_base_/datasets/ade20k_847.py',
    './_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'ade20k_847'))
