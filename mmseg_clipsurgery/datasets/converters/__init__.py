"""Masks as published -> masks as evaluated, one file after another; what is there already is left alone.

    COCO-Stuff 164k   <image>.png label ids         -> <image>_labelTrainIds.png (171 classes)
    COCO-Object       the same label ids            -> <image>_instanceTrainIds.png (1..80 things, 0 all else)
    Cityscapes        *_gtFine_labelIds.png         -> *_gtFine_labelTrainIds.png (19 classes)
    PASCAL Context    trainval/<image>.mat, 1..459  -> SegmentationClassContext/<image>.png (0 background, 1..59)
                                                    -> SegmentationClassContext459/<image>.png (0..458)
    ADE20K-847        <image>_seg.png, object number = R // 10 * 256 + G -> annotations_847/*/<image>.png (0..846)

A file for each data set lists the jobs: `coco`, `cityscapes`, `context`, `ade20k_847`. `jobs` runs them, and
`relabelling` exchanges the labels of a mask.
"""
