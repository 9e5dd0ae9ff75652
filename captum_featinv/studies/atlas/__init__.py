"""The atlas of a network: every live filter's texture, resumable, on one process or many."""

from captum_featinv.studies.atlas.cluster import cluster
from captum_featinv.studies.atlas.folder import Folder
from captum_featinv.studies.atlas.making import atlas
from captum_featinv.studies.atlas.plan import Plan, Shard
from captum_featinv.studies.atlas.source import Named
from captum_featinv.studies.atlas.work import Row

__all__ = ["Folder", "Named", "Plan", "Row", "Shard", "atlas", "cluster"]
