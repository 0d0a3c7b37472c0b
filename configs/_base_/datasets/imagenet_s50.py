"""ImageNet-S-50 validation: 752 images, 50 classes and all else, 16-bit masks by `convert imagenet-s`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNetS50Dataset',
        data_root='data/imagenet-s/ImageNetS50',
        data_prefix=dict(img_path='validation', seg_map_path='validation-labels'),
    ),
)
test_evaluator = dict(type='ExplainabilityMetric', ignore_index=65535)
