"""Undocumented behaviour of pyjpegls that ratui relies on."""

from importlib import import_module

import jpeg_ls

from ratui.imaging import pyjpegls_internals
from tests.internals import relying_on


def test_the_decoder_is_in_the_extension_module() -> None:
    with relying_on("`_CharLS` has the decoder, so that a film is decoded without `jpeg_ls`", pyjpegls_internals):
        extension = import_module("_CharLS")
        assert pyjpegls_internals.decode_from_buffer is extension.decode_from_buffer
        assert jpeg_ls.CharLS._CharLS is extension
