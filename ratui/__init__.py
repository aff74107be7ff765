"""Read radiographs of hands and feet in the terminal, and analyse the readings.

The names below are the Python interface of ratui. The terminal program is ``ratui``, or ``python -m ratui``.

>>> import ratui
>>> study = ratui.open_study("sample_data/study")
>>> study.config.raters
('you', 'ada', 'ben')
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratui.imaging import Film
    from ratui.study import Study

__all__ = ["__version__", "open_study", "read_film"]

__version__ = "0.1.0"


def open_study(path: str | Path) -> Study:
    """Open the study in the folder `path`.

    Parameters
    ----------
    path
        The study's folder, which holds ``study.toml``.

    Returns
    -------
    Study
        The open study. Nothing is locked, and nothing is changed on the disk.

    Raises
    ------
    StudyError
        If there is no study, or one that this version cannot open.

    Examples
    --------
    >>> import ratui
    >>> ratui.open_study("sample_data/study")
    Study('sample_data/study', 4 cases, raters: you, ada, ben)
    """
    from ratui.study import Study  # imported here: `import ratui` stays fast

    return Study.open(Path(path))


def read_film(path: str | Path) -> Film:
    """Read a radiograph from a DICOM file.

    Another process decodes the file, because a damaged film can end the process that decodes it. It is started at the first
    film and kept for the next ones.

    Parameters
    ----------
    path
        A DICOM file with one grey image.

    Returns
    -------
    Film
        Stored pixels of shape (rows, columns), and the grey windows and the pixel spacing of the header.

    Raises
    ------
    FilmError
        If the file is missing, damaged, or not a grey image.

    Examples
    --------
    >>> import ratui
    >>> film = ratui.read_film("sample_data/study/films/C-6TVYOC/3dcbcb13d7c4.dcm")
    >>> film
    Film(800 × 656 pixels, 12 bits, 0.333 mm/pixel)
    """
    from ratui.study.importing import read_foreign_film

    return read_foreign_film(Path(path))
