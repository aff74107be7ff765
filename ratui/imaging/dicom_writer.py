"""Writer of DICOM films, for the phantom and for tests.

Files are Computed Radiography images (PS3.3 A.2), lossless (JPEG-LS). They contain no information about a person or a
place unless it is passed in.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, generate_uid

from ratui.errors import FilmError

__all__ = ["encode_dicom", "write_film"]


def encode_dicom(
    pixels: npt.NDArray[np.generic],
    *,
    bits: int = 12,
    spacing: tuple[float, float] | None = None,
    laterality: str = "",
    inverted: bool = False,
    compress: bool = True,
    attributes: Mapping[str, object] | None = None,
) -> bytes:
    """Return the bytes of a DICOM Computed Radiography file.

    Parameters
    ----------
    pixels
        Non-negative whole numbers, shape (rows, columns).
    bits
        Number of bits of a stored value, up to 16.
    spacing
        Distance between pixel centres in mm as (row, column).
    laterality
        ``L``, ``R``, or empty if unknown.
    inverted
        Write MONOCHROME1: low values are bright.
    compress
        Compress with JPEG-LS Lossless, else write Explicit VR Little Endian.
    attributes
        More elements by DICOM keyword. They replace those set here.

    Raises
    ------
    FilmError
        If `pixels` has another number of dimensions, or values that do not fit in `bits`.
    """
    if pixels.ndim != 2 or int(pixels.min()) < 0 or int(pixels.max()) >= 1 << bits:
        raise FilmError(f"these pixels are not a grey image of {bits} bits")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    # UIDs from UUIDs (PS3.5 B.2), because a registered prefix would name the organisation that wrote the file.
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(prefix=None)
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.Modality = "CR"
    # Type 2 attributes: they must be present but may be empty (PS3.5 section 7.4.3).
    dataset.PatientName = dataset.PatientID = dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID = dataset.SeriesNumber = dataset.InstanceNumber = ""
    dataset.BodyPartExamined, dataset.ViewPosition = "HAND", "PA"
    dataset.Laterality = laterality
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    wide = bits > 8
    dataset.BitsAllocated = 16 if wide else 8
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    if spacing is not None:
        dataset.PixelSpacing = dataset.ImagerPixelSpacing = [f"{spacing[0]:.6g}", f"{spacing[1]:.6g}"]
    dataset.LossyImageCompression = "00"
    for keyword, value in (attributes or {}).items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(pixels.astype("<u2" if wide else np.uint8)).tobytes()
    # Values have an even number of bytes (PS3.5 section 7.1.1).
    if dataset.Rows * dataset.Columns % 2 and not wide:
        dataset.PixelData += b"\0"
    if compress:
        dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def write_film(path: Path, pixels: npt.NDArray[np.generic], **options: object) -> None:
    """Write a film to `path`. The other parameters and the errors are those of `encode_dicom`."""
    path.write_bytes(encode_dicom(pixels, **options))  # type: ignore[arg-type]
