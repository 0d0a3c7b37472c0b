"""PASCAL Context val with all its classes: 5,104 images, 459 classes; 16-bit masks by `convert context`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalContext459Dataset',
        data_root='data/VOCdevkit/VOC2010',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext459'),
        ann_file='ImageSets/SegmentationContext/val.txt',
    ),
)
test_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'], ignore_index=65535)
