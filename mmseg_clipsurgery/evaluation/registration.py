"""The classes that MMSeg finds by name: importing this module registers all of them.

    MODELS      towers, text encoder, head, preprocessor, segmentor, recogniser, test-time augmentation
    DATASETS    scenes, VOC20, COCO-Object, COCO's things, ADE20K-847, Context-459, ImageNet-S, NUS-WIDE, Open Images
    TRANSFORMS  LoadDeepAnnotations, LoadPoints
    METRICS     SegmentationMetric, ExplainabilityMetric, PointExplainabilityMetric, RecognitionMAP
    EVALUATOR   VariantsEvaluator
    HOOKS       ProgressHook, SavePicturesHook, HeatMapsHook, NameUnreadableFilesHook

No other module imports a module for this effect alone.
"""

from ..environment import mmseg_ready  # noqa: F401 - before mmseg

# isort: split
from .. import models
from ..datasets import deep_labels, image_labels, loading, points, public, scenes
from . import variants_evaluator
from .hooks import heat_maps, pictures, progress, unreadable_files
from .metrics import explainability, point_labels, recognition_map, segmentation

REGISTERING = (
    models,
    *(deep_labels, image_labels, loading, points, public, scenes),
    *(heat_maps, pictures, progress, unreadable_files),
    *(explainability, point_labels, recognition_map, segmentation),
    variants_evaluator,
)
