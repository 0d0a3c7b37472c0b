"""The embedded scenes: the 200 images of the validation set, 8 objects and 6 grounds; drawn on first use.

Held-out pairs (200 images): ann_file='ImageSets/Segmentation/heldout.txt'.
"""

test_dataloader = dict(
    batch_size=16,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ScenesDataset', data_root=None, ann_file='ImageSets/Segmentation/val.txt'),
)
test_evaluator = dict(
    type='SegmentationMetric',
    iou_metrics=['mIoU'],
    groups=dict(
        objects=['fish', 'house', 'ladybird', 'tree', 'zebra', 'hive', 'sock', 'car'],
        grounds=['grass', 'sand', 'water', 'snow', 'gravel', 'wood'],
    ),
)
