"""ImageNet-S-300 validation: 4,097 images, 300 classes and all else, 16-bit masks by `convert imagenet-s`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNetS300Dataset',
        data_root='data/imagenet-s/ImageNetS300',
        data_prefix=dict(img_path='validation', seg_map_path='validation-labels'),
    ),
)
test_evaluator = dict(type='ExplainabilityMetric', ignore_index=65535)
