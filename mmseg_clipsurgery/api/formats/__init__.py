"""Labels in the formats of other tools: each a short function over the library that knows the format.

    palette        PNG whose pixels are labels and whose palette colours them     Pillow
    labelme        polygons of LabelMe, one JSON beside a photo                   OpenCV's contours
    label_studio   polygons as tasks of Label Studio, one JSON of a whole run     OpenCV's contours
    coco           COCO's JSON of a whole run, masks as run lengths               pycocotools, extra [coco]
    detections     `supervision.Detections`                                       supervision, extra [supervision]

All but the palette hold regions: what is labelled 'background' is no region, it is what no region covers.
"""
