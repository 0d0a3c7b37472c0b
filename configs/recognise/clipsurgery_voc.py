"""Multi-label recognition with CLIP Surgery's feature surgery, ViT-B/16, PASCAL VOC 2012 segmentation val.

Labels are the classes of the masks; 'background' is a query, but is left out of the mean. Images are read whole, short
side 336.

Paper: A Closer Look at the Explainability of Contrastive Language-Image Pre-training, arXiv 2304.05653,
which measures other data sets.
Command: python tools/test.py configs/recognise/clipsurgery_voc.py
Plain CLIP: the same with --cfg-options model.form=paper (which a softmax does not see)
"""

_base_ = ['../clipsurgery_voc.py']
model = dict(type='CLIPSurgeryRecogniser')
test_evaluator = dict(_delete_=True, type='RecognitionMAP')
