"""How well CLIP Surgery's similarity maps explain OpenAI's ViT-B/16, on points of Open Images V7: point mIoU.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/explain/clipsurgery_openimages_points.py
Architecture surgery alone: --cfg-options model.decode_head.similarity=cosine
Feature surgery alone: --cfg-options model.backbone.surgery=clip; raw CLIP: both
Expected: p-mIoU of CLIP 27.6, CLIP Surgery 47.8, GEM 50.9, LeGrad 48.4: second hand, of papers whose evaluation was not
released (not measured by this project).

GEM's own reading, who published such figures: images of 448 x 448, whole; "a photo of a {}.".
"""

_base_ = [
    '../_base_/models/clip_surgery_vit-b16_openai.py',
    '../_base_/datasets/openimages_points.py',
    '../_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import map_settings  # noqa: E402

globals().update(map_settings('openimages_points', protocol='gem', maps='depicted'))
