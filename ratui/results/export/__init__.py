"""What a study exports: tables, boxes, documents, DICOM objects. Released readings only, and never an identity.

Notes are free text and may name a patient, so none is exported; neither are dates, but for days since the first film.
"""

from ratui.results.export.exporter import FORMATS, ExportResult, export

__all__ = ["FORMATS", "ExportResult", "export"]
