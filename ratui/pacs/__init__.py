"""Exchange with an archive of images (PACS): fetch films, receive films, and send results back.

DICOMweb and the classic DICOM protocol are supported. The libraries come with the extra ``ratui[pacs]``; this package alone
imports them. The answers of a PACS are untrusted text: they are shortened, and no message repeats them. Received files
are not parsed here; they wait in a private `Spool` outside the study until the import reads them in its own process.
"""
