"""ADE20K-847 validation: 2,000 images, 847 classes, 16-bit masks by `convert ade20k-847`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20K847Dataset',
        data_root='data/ade/ADE20K_2021_17_01',
        data_prefix=dict(img_path='images_847/validation', seg_map_path='annotations_847/validation'),
    ),
)
test_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'], ignore_index=65535)
