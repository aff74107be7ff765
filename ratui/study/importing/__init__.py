"""Conversion of one foreign file into a de-identified film, in a separate process if required."""

from ratui.study.importing.film_maker import ConvertedFilm, FilmConverter, FilmHeader, FilmRequest, InProcessConverter
from ratui.study.importing.reader_process import ReaderProcess

__all__ = ["ConvertedFilm", "FilmConverter", "FilmHeader", "FilmRequest", "InProcessConverter", "ReaderProcess"]
