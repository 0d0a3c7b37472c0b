"""CLIP Surgery's own input: 512 x 512, aspect ratio not kept.

By Pillow, whose bicubic filter is the one of the published code. Annotations are loaded after the resize and keep
their size.
"""

resize = dict(type='Resize', scale=(512, 512), keep_ratio=False, interpolation='bicubic', backend='pillow')
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [resize],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0, direction='horizontal')],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
