"""A plugin of pytest (`-p block_mmseg`) that blocks MMSeg's stack before tests are collected."""

import without_mmseg

without_mmseg.block()
