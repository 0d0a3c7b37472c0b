"""NUS-WIDE test: 107,859 images, 81 concepts of whole images, listed by `convert nus-wide`."""

test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='NUSWideDataset',
        data_root='data/nus_wide',
        data_prefix=dict(img_path='Flickr'),
        ann_file='labels_test.txt',
    ),
)
test_evaluator = dict(type='RecognitionMAP')
