"""Exchange with an archive of images (PACS): fetch films, receive films, and send results back.

DICOMweb and the classic DICOM protocol are supported. The libraries come with the extra ``ratui[pacs]``; this package alone
imports them. Whatever a PACS answers is foreign text: it is bounded, and no message repeats it. Received files are not
parsed here; they wait in a private `Spool` outside the study until the import reads them in its own process.
"""
