"""How well CLIP Surgery's similarity maps explain OpenAI's ViT-B/16, on PASCAL Context.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/explain/clipsurgery_context59.py
Architecture surgery alone: --cfg-options model.decode_head.similarity=cosine
Feature surgery alone: --cfg-options model.backbone.surgery=clip; raw CLIP: both
Expected: map mIoU 46.28 and mSC 34.32, raw CLIP 15.76 and -16.73: the paper's, second hand; its evaluation was not
released, and whether it has 59 or 60 classes is not stated (not measured by this project).

Images of 512 x 512, whole; the class names as words; pixels of no class are left out.
"""

_base_ = [
    '../_base_/models/clip_surgery_vit-b16_openai.py',
    '../_base_/datasets/context59.py',
    '../_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import map_settings  # noqa: E402

globals().update(map_settings('context59'))
test_evaluator = dict(_delete_=True, type='ExplainabilityMetric')
