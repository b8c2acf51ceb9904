"""Who is studied: the registry of subjects, where their weights come from, and :class:`Subject`."""

from bkdwidgets.subjects.adapters import AdapterInfo, adapter_names
from bkdwidgets.subjects.registry import load
from bkdwidgets.subjects.specs import SUBJECTS
from bkdwidgets.subjects.subject import Subject

__all__ = ["SUBJECTS", "AdapterInfo", "Subject", "adapter_names", "load"]
