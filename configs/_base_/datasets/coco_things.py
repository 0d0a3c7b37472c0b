"""COCO 2017 val by its instances: 5,000 images, 80 things and background, masks by `convert coco-things`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='COCOThingsDataset',
        data_root='data/coco',
        data_prefix=dict(img_path='val2017', seg_map_path='things/val2017'),
    ),
)
test_evaluator = dict(type='ExplainabilityMetric')
