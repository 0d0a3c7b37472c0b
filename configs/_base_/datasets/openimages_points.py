"""Open Images V7 validation by its points; the list of points and the classes are made by `convert openimages`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='OpenImagesPointsDataset',
        data_root='data/openimages',
        data_prefix=dict(img_path='validation'),
        ann_file='points_validation.jsonl',
    ),
)
test_evaluator = dict(type='PointExplainabilityMetric')
