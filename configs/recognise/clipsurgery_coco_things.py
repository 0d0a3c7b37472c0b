"""Multi-label recognition with CLIP Surgery's feature surgery, ViT-B/16, COCO 2017 val.

Labels are the classes of the masks; 'background' is a query, but is left out of the mean. Images are read whole, short
side 336.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
Command: python tools/test.py configs/recognise/clipsurgery_coco_things.py
Plain CLIP: the same with --cfg-options model.form=paper (which a softmax does not see)
Expected: not measured by this project.
"""

_base_ = [
    '../_base_/models/clip_surgery_vit-b16_openai.py',
    '../_base_/datasets/coco_things.py',
    '../_base_/default_runtime.py',
]
from mmseg_clipsurgery.protocols.settings import settings  # noqa: E402

globals().update(settings('clip_surgery', 'coco_things'))
model['type'] = 'CLIPSurgeryRecogniser'  # noqa: F821 - of the settings
test_evaluator = dict(_delete_=True, type='RecognitionMAP')
