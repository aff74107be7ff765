"""A simulated hospital whose archive is imported in tests and measurements.

The headers follow DICOM (PS3.3 and PS3.16) and the habits of vendors; nothing here knows how the import decides. The truth
about each file is the decision of a careful data manager who sees all headers and no picture.
"""

from tests.support.hospital.hospital import ODDITIES, build_hospital
from tests.support.hospital.judge import Verdict, judge
from tests.support.hospital.truth import Outcome, Truth, write_truth

__all__ = ["ODDITIES", "Outcome", "Truth", "Verdict", "build_hospital", "judge", "write_truth"]
