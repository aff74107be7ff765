"""One file of a hospital: looked at, and made into a film without its patient; in a process of its own if asked."""

from ratui.study.importing.film_maker import ConvertedFilm, FilmConverter, FilmHeader, FilmRequest, InProcessConverter
from ratui.study.importing.reader_process import ReaderProcess

__all__ = ["ConvertedFilm", "FilmConverter", "FilmHeader", "FilmRequest", "InProcessConverter", "ReaderProcess"]
