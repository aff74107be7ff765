"""Results of a study: progress, agreement, adjudication, exports and the report.

The package reads a study and changes no rater's reading. The libraries for plots, Parquet and DICOM are loaded only
when they are needed; ``pip install 'ratui[results]'`` installs them.
"""
