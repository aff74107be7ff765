"""Run code in a process of limited memory, and small TOML texts that would need much of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ratui

__all__ = ["ADDRESS_SPACE", "TOML_BOMBS", "run_limited"]

_MOST_MEGABYTES = 400
# Address space that imports of numpy and its libraries reserve comes on top.
ADDRESS_SPACE = 3 << 30


def run_limited(code: str, most: int = _MOST_MEGABYTES) -> str:
    """Return the output of `code` in a process of limited memory; its peak of resident memory is checked."""
    program = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE}, {ADDRESS_SPACE}))\n"
        f"{code}\n"
        # Unlike ru_maxrss, this does not count the memory of the process that started this one.
        "line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print('peak', int(line.split()[1]) // 1024)\n"
    )
    root = str(Path(ratui.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    output, _, peak = done.stdout.decode().rpartition("peak ")
    assert int(peak) < most, f"{peak} MB"
    return output


_DOTTED = "a" + ".a" * 15_000
TOML_BOMBS = {
    "dotted key of 60 kB": f"{_DOTTED}.{_DOTTED} = 1",
    "dotted key": f"{_DOTTED} = 1",
    "dotted header": f"[{_DOTTED}]",
    "spaces": "a" + " . a" * 15_000 + " = 1",
    "quoted parts": '""' + '.""' * 20_000 + " = 1",
    "literal parts": "''" + ".''" * 20_000 + " = 1",
    "in an inline table": f"x = {{ {_DOTTED} = 1 }}",
    "after a string with quotes at its end": f'b = """x""""\n{_DOTTED} = 1 # "',
    "after a literal with quotes at its end": f"b = '''x''''\n{_DOTTED} = 1 # '",
    "after an escaped quote": f'b = "\\""\n{_DOTTED} = 1 # "',
    "after a quote in a comment": f'# "\n{_DOTTED} = 1 # "',
    "arrays": "a = [" + "[]," * 70_000 + "]",
    "tables in an array": "a = [" + "{}," * 70_000 + "]",
    "nested arrays": "a = " + "[" * 120_000,
    "nested tables": "a = " + "{a=" * 60_000,
    "headers": "".join(f"[a{number}]\n" for number in range(25_000)),
    "headers of 15 parts": "".join(
        "[" + ".".join(f"{number}x{part}" for part in range(15)) + "]\n" for number in range(2000)
    ),
    "digits": "a = " + "9" * 200_000,
    "text": "a" * 240_000,
    "open string": 'a = """' + '\\"""' * 50_000,
}
