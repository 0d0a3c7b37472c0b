"""PASCAL VOC 2012 val without background, whose pixels are ignored: 1,449 images, 20 classes."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOC20Dataset',
        data_root='data/VOCdevkit/VOC2012',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
    ),
)
test_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'])
