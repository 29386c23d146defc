"""Clip stores: preprocessed, decoded videos that trials read."""

from agrm_study.training.data.store.build import build_store
from agrm_study.training.data.store.fetch import fetch_store, publish_store
from agrm_study.training.data.store.layout import has_store, store_bytes, store_key
from agrm_study.training.data.store.problems import BadVideos, Problem
from agrm_study.training.data.store.reader import ClipStore

__all__ = [
    "BadVideos",
    "ClipStore",
    "Problem",
    "build_store",
    "fetch_store",
    "has_store",
    "publish_store",
    "store_bytes",
    "store_key",
]
