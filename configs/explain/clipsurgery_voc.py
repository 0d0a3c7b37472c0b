"""How well CLIP Surgery's similarity maps explain OpenAI's ViT-B/16, on PASCAL VOC 2012: mIoU of maps, and mSC.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/explain/clipsurgery_voc.py
Architecture surgery alone: --cfg-options model.decode_head.similarity=cosine
Feature surgery alone: --cfg-options model.backbone.surgery=clip; raw CLIP: both
Expected: the paper's tables of explainability, whose evaluation was not released (not measured by this project).

The paper's own reading: images of 512 x 512, whole; the class names as words; the background has no map.
"""

_base_ = '../clipsurgery_voc_paper.py'
model = dict(decode_head=dict(similarity='released'), test_cfg=dict(maps=True))
test_evaluator = dict(_delete_=True, type='ExplainabilityMetric')
