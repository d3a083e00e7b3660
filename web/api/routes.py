"""All routes below /api, one module a subject.

Each router has the prefix itself, not by inclusion: the metrics name routes by it.
"""

from __future__ import annotations

from . import heatmaps, info, pictures, queries, session, uploads

ROUTERS = tuple(subject.router for subject in (info, session, uploads, queries, heatmaps, pictures))
