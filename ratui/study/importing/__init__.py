"""The import of foreign films.

`importer` takes the steps in this order. All use the values of `reader`, and no step those of a later one.

1. `files`: find the files, and unpack archives.
2. `reader`: read foreign files in a process of their own, and convert their films.
3. `headers`: find out from a header what its film shows, and when it was made.
4. `persons`: find out which films show one person.
5. `planning`: decide on each file, before any film is converted.
6. `film_storing`: convert the films of the plan, and store them.
"""

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
