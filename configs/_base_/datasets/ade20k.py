"""ADE20K validation: 2,000 images, 150 classes; label 0 is ignored."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20KDataset',
        data_root='data/ade/ADEChallengeData2016',
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
    ),
)
test_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'])
