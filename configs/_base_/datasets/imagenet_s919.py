"""ImageNet-S-919 validation: 12,419 images, 919 classes and all else, 16-bit masks by `convert imagenet-s`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNetS919Dataset',
        data_root='data/imagenet-s/ImageNetS919',
        data_prefix=dict(img_path='validation', seg_map_path='validation-labels'),
    ),
)
test_evaluator = dict(type='ExplainabilityMetric', ignore_index=65535)
