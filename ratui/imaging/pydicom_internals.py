"""The use of what pydicom keeps private: its reader of an open file's meta information.

A new version of pydicom may change it. ``tests/imaging/test_pydicom_internals.py`` shows which part has changed.
"""

from __future__ import annotations

from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_preamble

__all__ = ["WRITTEN_FOR", "read_meta_information"]

WRITTEN_FOR = "pydicom 3.0"


def read_meta_information(file: BinaryIO) -> FileMetaDataset:
    """Return the meta information of the DICOM file open in `file`, and leave `file` at the first byte after it.

    The length that the header claims for itself may be wrong, so the elements are read one by one, as `pydicom.dcmread`
    does. pydicom's public function takes a path and doesn't tell where it stopped.

    Raises
    ------
    pydicom.errors.InvalidDicomError
        The file doesn't begin as a DICOM file does. A damaged header raises other exceptions of any type.
    """
    read_preamble(file, force=False)
    return _read_file_meta_info(file)
