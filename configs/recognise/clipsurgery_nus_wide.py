"""Multi-label recognition with CLIP Surgery's feature surgery, ViT-B/16, NUS-WIDE test with its 81 concepts.

Labels are of whole images. Images are read whole, short side 336.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/recognise/clipsurgery_nus_wide.py
Plain CLIP: the same with --cfg-options model.form=paper (which a softmax does not see)
Expected: the paper states a gain of 4.41 points of mAP; its evaluation was not released (not measured by this project).
"""

_base_ = [
    '../_base_/models/clip_surgery_vit-b16_openai.py',
    '../_base_/datasets/nus_wide.py',
    '../_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'nus_wide'))
model['type'] = 'CLIPSurgeryRecogniser'  # noqa: F821 - of the settings
