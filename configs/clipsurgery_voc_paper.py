"""CLIP Surgery, ViT-B/16, PASCAL VOC 2012 with background: the paper's own protocol.

One view of 512 x 512, 85 templates, plain cosine, no threshold. The words are the literal class names: our choice,
for the paper doesn't state its own.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/clipsurgery_voc_paper.py
Expected mIoU (none measured by this project):
  not published by the authors for this data set
  41.2  re-run in the GEM paper (CVPR 2024), its own protocol
"""

_base_ = [
    './_base_/models/clip_surgery_vit-b16_openai.py',
    './_base_/datasets/voc21.py',
    './_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'voc21', protocol='clip_surgery_paper'))
