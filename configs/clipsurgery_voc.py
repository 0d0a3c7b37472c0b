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
    './_base_/pipelines/short_side_336.py',
    './_base_/default_runtime.py',
]
model = dict(text_encoder=dict(vocabulary='voc21'), test_cfg=dict(logit_scale=65, prob_thd=0.1, area_thd=0.1))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
