"""Find the files to import: in folders, behind links, in archives, and in the list of a DICOMDIR."""
