"""COCO-Stuff 164k val2017: 5,000 images, 171 classes."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='COCOStuffDataset',
        data_root='data/coco_stuff164k',
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'),
    ),
)
test_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'])
