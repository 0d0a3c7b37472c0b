"""The tasks of `api` on files and folders: `python -m mmseg_clipsurgery {segment,heatmaps,points,...} PHOTOS ...`."""
