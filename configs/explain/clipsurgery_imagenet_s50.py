"""How well CLIP Surgery's similarity maps explain OpenAI's ViT-B/16, on ImageNet-S-50.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/explain/clipsurgery_imagenet_s50.py
Architecture surgery alone: --cfg-options model.decode_head.similarity=cosine
Feature surgery alone: --cfg-options model.backbone.surgery=clip; raw CLIP: both
Expected: not measured by this project.

Images of 512 x 512, whole; the class names as words; the background has no map.
"""

_base_ = [
    '../_base_/models/clip_surgery_vit-b16_openai.py',
    '../_base_/datasets/imagenet_s50.py',
    '../_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import map_settings  # noqa: E402

globals().update(map_settings('imagenet_s50', maps='depicted'))
