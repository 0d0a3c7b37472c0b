"""What every run shares: the registered package, processes, pictures, logs."""

default_scope = 'mmseg'
custom_imports = dict(imports=['mmseg_clipsurgery'], allow_failed_imports=False)

env_cfg = dict(
    cudnn_benchmark=False,  # image sizes vary
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),  # the test tool takes gloo where there is no GPU
)
launcher = 'none'

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', name='visualizer', vis_backends=vis_backends)
default_hooks = dict(visualization=dict(type='SegVisualizationHook'))

log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

test_cfg = dict(type='TestLoop')
