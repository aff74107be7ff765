"""Exports of a study: tables, boxes, JSON and DICOM objects. Only released readings, and no patient identities.

Notes are not exported, because free text may name a patient. Dates are exported only as days since the first film.
"""

from ratui.results.export.exporter import FORMATS, ExportResult, export

__all__ = ["FORMATS", "ExportResult", "export"]
