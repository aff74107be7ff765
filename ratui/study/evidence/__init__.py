"""Sealed and signed states of a study, and their comparison with the study as it is now."""

from ratui.study.evidence.comparison import Difference, compare_states
from ratui.study.evidence.roots import Root, read_root, root_numbers, write_root
from ratui.study.evidence.signatures import sign_data, verify_signature
from ratui.study.evidence.state import ArchiveSource, FolderSource, StudyState, read_state

__all__ = [
    "ArchiveSource",
    "Difference",
    "FolderSource",
    "Root",
    "StudyState",
    "compare_states",
    "read_root",
    "read_state",
    "root_numbers",
    "sign_data",
    "verify_signature",
    "write_root",
]
