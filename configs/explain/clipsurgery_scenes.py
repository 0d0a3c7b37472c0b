"""How well the similarity maps of the embedded tiny CLIP explain it, on the embedded scenes: mIoU of maps, and mSC.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/explain/clipsurgery_scenes.py
Architecture surgery alone: --cfg-options model.decode_head.similarity=cosine
Feature surgery alone: --cfg-options model.backbone.surgery=clip; raw CLIP: both
Expected: the row clip_surgery:released of docs/explain.md; clip_surgery, clip:released and clip are the other three.
"""

_base_ = '../clipsurgery_scenes.py'
model = dict(decode_head=dict(similarity='released'), test_cfg=dict(maps=True))
test_evaluator = dict(_delete_=True, type='ExplainabilityMetric')
