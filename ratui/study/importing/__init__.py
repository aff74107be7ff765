"""Conversion of one foreign file into a de-identified film, in a separate process if required."""

from ratui.study.importing.reader.film_header import CodedTerm, FilmHeader
from ratui.study.importing.reader.film_maker import ConvertedFilm, FilmConverter, FilmRequest, InProcessConverter
from ratui.study.importing.reader.own_films import FilmSize
from ratui.study.importing.reader.reader_process import ReaderProcess, read_foreign_film, read_foreign_image

__all__ = [
    "CodedTerm",
    "ConvertedFilm",
    "FilmConverter",
    "FilmHeader",
    "FilmRequest",
    "FilmSize",
    "InProcessConverter",
    "ReaderProcess",
    "read_foreign_film",
    "read_foreign_image",
]
