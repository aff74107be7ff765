"""Reader of the films of a study, which ratui wrote itself."""

from __future__ import annotations

from pathlib import Path

from ratui.imaging.film import Film
from ratui.imaging.plain_dicom import read_plain_film

__all__ = ["read_stored_film"]


def read_stored_film(data: bytes, path: Path) -> Film:
    """Return the film in `data`, the content of a file that ratui wrote.

    Parameters
    ----------
    data
        A DICOM file in one of the two forms that ratui writes: JPEG-LS Lossless or uncompressed. Content in another form is
        refused before a decoder reads it.
    path
        The file, for error messages.

    Raises
    ------
    FilmError
        If it has another form, or for the reasons of `ratui.imaging.read_film`.
    """
    film = read_plain_film(data)
    if film is not None:
        return film
    # Imported here, because pydicom loads all its decoders and takes more time than the films.
    from ratui.imaging.dicom_reader import film_from_dataset, read_stored_dataset

    return film_from_dataset(read_stored_dataset(data, path), path, is_own=True)
