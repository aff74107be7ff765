"""The management of a study's readings: charter, blocks, repeats, raters, qualifications, audit trail and lock."""
