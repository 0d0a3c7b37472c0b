"""Multi-label recognition with CLIP Surgery's feature surgery, the embedded tiny CLIP, the embedded scenes.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653.
The scenes and the tiny CLIP are this project's own; what they show says nothing about real photos.
Command: python tools/test.py configs/recognise/clipsurgery_scenes.py
Plain CLIP: the same with --cfg-options model.form=paper (which a softmax does not see)
"""

_base_ = ['../clipsurgery_scenes.py']
model = dict(type='CLIPSurgeryRecogniser')
test_evaluator = dict(_delete_=True, type='RecognitionMAP')
