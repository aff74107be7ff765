"""What comes out of a study: progress, agreement, adjudication, exports, the report. It changes no reading.

Importing it loads numbers only; what draws plots or writes Parquet and DICOM is loaded when asked for, and comes with
``pip install 'ratui[results]'``.
"""
