"""Grey levels equal those of dcmtk, an independent implementation, within one level."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from ratui.imaging import LookupTable, Window, film_to_grey, read_film
from tests.imaging.odd_films import film_with, ramp, table

pytestmark = pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="dcmtk is not installed here")

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CURVE = [round(4095 * (i / 4095) ** 0.5) for i in range(4096)]


def by_dcmtk(path: Path, *options: str) -> np.ndarray:
    """Return the grey levels of dcmtk, from the first of its tools that supports the transfer syntax."""
    why = ""
    for tool in ("dcm2pnm", "dcmj2pnm", "dcml2pnm"):
        out = path.parent / f"{path.stem}.pgm" if path.parent != FILES else Path(f"{path.stem}.pgm")
        done = subprocess.run([tool, "-q", "-O", "+op", *options, str(path), str(out)], capture_output=True, text=True)
        if done.returncode == 0 and out.exists():
            with Image.open(out) as image:
                return np.asarray(image.convert("L")).astype(int)
        why += done.stderr
    pytest.skip(f"dcmtk can't read it: {why[:80] or 'no decoder'}")


def differences(path: Path) -> dict[str, int]:
    """Return the largest difference for each of the film's own contrasts."""
    film = read_film(path)
    found, counts = {}, {"+Wl": 0, "+Wi": 0}
    for contrast in film.contrasts:
        option = "+Wl" if isinstance(contrast, LookupTable) else "+Wi"
        counts[option] += 1
        theirs = by_dcmtk(path, option, str(counts[option]))
        found[f"{option} {counts[option]}"] = int(np.abs(film_to_grey(film, contrast).astype(int) - theirs).max())
    for centre, width in ((400.0, 900.0), (1000.5, 37.0)):
        theirs = by_dcmtk(path, "+Ww", str(centre), str(width), "+Wfl")
        found[f"{centre}/{width}"] = int(np.abs(film_to_grey(film, Window(centre, width)).astype(int) - theirs).max())
    return found


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
        "examples_overlay.dcm",
        "image_dfl.dcm",
    ],
)
def test_on_the_files_of_pydicom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = differences(FILES / name)
    assert found
    assert max(found.values()) <= 1, found


CURVES: dict[str, Callable[[Path], Path]] = {
    "several windows": lambda p: film_with(p, ramp(12), bits=12, WindowCenter=[700, 2000], WindowWidth=[900, 4000]),
    "MONOCHROME1": lambda p: film_with(
        p, ramp(12), bits=12, PhotometricInterpretation="MONOCHROME1", WindowCenter=1500, WindowWidth=2000
    ),
    "sigmoid": lambda p: film_with(p, ramp(12), bits=12, VOILUTFunction="SIGMOID", WindowCenter=1500, WindowWidth=2000),
    "8 bits": lambda p: film_with(p, ramp(8), bits=8, WindowCenter=120, WindowWidth=100),
    "10 bits": lambda p: film_with(p, ramp(10), bits=10, WindowCenter=500, WindowWidth=700),
    "14 bits": lambda p: film_with(p, ramp(14), bits=14, WindowCenter=5000, WindowWidth=7000),
    "16 bits": lambda p: film_with(p, ramp(16), bits=16, WindowCenter=30000, WindowWidth=50000),
    "signed 12 of 16 bits": lambda p: film_with(p, ramp(12, signed=True), bits=12, WindowCenter=0, WindowWidth=1500),
    "signed 16 bits": lambda p: film_with(p, ramp(16, signed=True), bits=16, WindowCenter=-10, WindowWidth=40000),
    "rescaled": lambda p: film_with(
        p, ramp(12), bits=12, RescaleSlope=3, RescaleIntercept=-300, WindowCenter=200, WindowWidth=900
    ),
    "rescaled downwards": lambda p: film_with(
        p, ramp(12), bits=12, RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2000, WindowWidth=3000
    ),
    "a grey table": lambda p: film_with(p, ramp(12), bits=12, grey_tables=(table(0, CURVE, 12),)),
    "a grey table of part of the range": lambda p: film_with(
        p, ramp(12), bits=12, grey_tables=(table(1000, CURVE[:500], 12), table(300, CURVE[::4], 12))
    ),
    "a grey table after rescaling below zero": lambda p: film_with(
        p,
        ramp(12),
        bits=12,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        grey_tables=(table(-1024, CURVE, 12, signed=True),),
    ),
    "a modality table": lambda p: film_with(
        p, ramp(12), bits=12, modality=table(0, CURVE, 12), WindowCenter=2000, WindowWidth=3000
    ),
    "a modality table and a grey table": lambda p: film_with(
        p, ramp(12), bits=12, modality=table(0, CURVE, 12), grey_tables=(table(0, CURVE[::-1], 12),)
    ),
    "overlays in the unused bits": lambda p: film_with(
        p, ramp(12) | np.uint16(0x5000), bits=12, WindowCenter=2000, WindowWidth=3000
    ),
    "a high bit of 15": lambda p: film_with(
        p, (ramp(12) << 4).astype("<u2"), bits=12, high_bit=15, WindowCenter=2000, WindowWidth=3000
    ),
}


@pytest.mark.parametrize("kind", CURVES)
def test_on_films_with(kind: str, tmp_path: Path) -> None:
    found = differences(CURVES[kind](tmp_path / "film.dcm"))
    assert len(found) >= 3
    assert max(found.values()) <= 1, found
