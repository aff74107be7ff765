"""A film without its patient: a new dataset that takes over what shows the image, and nothing else.

An allow-list: an element that isn't named here can't get through, whatever it holds. Pixels stay untouched.
"""

from __future__ import annotations

import io

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

__all__ = ["deidentified"]

_KEPT = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelAspectRatio",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
)
# Elements of free text are written anew, from a closed list.
_VIEW_POSITIONS = {"PA", "AP", "LL", "RL"}


def deidentified(dataset: pydicom.Dataset, case: str, side: str) -> bytes:
    """The bytes of a DICOM file with the pixels of `dataset` and the pseudonym `case`.

    UIDs are new and random; `side` is ``L``, ``R`` or ``B``.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    new = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    new.SOPClassUID, new.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    new.StudyInstanceUID, new.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    new.PatientName = new.PatientID = case
    new.PatientBirthDate = new.PatientSex = new.StudyDate = new.StudyTime = ""
    new.AccessionNumber = new.ReferringPhysicianName = new.StudyID = new.SeriesNumber = new.InstanceNumber = ""
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = "ratui: allow-list of image attributes"
    new.Modality = "CR"
    new.Laterality = side
    position = str(dataset.get("ViewPosition", ""))
    new.ViewPosition = position if position in _VIEW_POSITIONS else ""
    for keyword in _KEPT:
        if keyword in dataset:
            new[keyword] = dataset[keyword]
    new.PixelData = dataset.PixelData
    if new.file_meta.TransferSyntaxUID.is_compressed:
        new["PixelData"].is_undefined_length = True
    else:
        new["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    buffer = io.BytesIO()
    new.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
