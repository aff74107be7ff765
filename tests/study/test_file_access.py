"""Code that handles a study opens no file by its path: only `StudyFolder` and its base class do, relative to the study.

The test reads the syntax trees of the modules. A name that is not mentioned here can still open a file, so the list of
forbidden names is long, and the exceptions are few and have a reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ratui/study", "ratui/results", "ratui/regions", "trainer")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = {
    "os": words(
        "access chdir chmod chown fwalk getxattr link listdir listxattr lstat makedirs mkdir mkfifo mknod open readlink "
        "remove removedirs removexattr rename renames replace rmdir scandir setxattr stat statvfs symlink truncate unlink "
        "utime walk"
    ),
    "shutil": words("copy copy2 copyfile copymode copystat copytree move rmtree"),
    "ratui.files": words(
        "atomic_write create_folder file_digest lock_mode make_folder move_into_place remove_leftovers share_folder "
        "sync_folder umask_for write_bytes"
    ),
    "ratui.bounded_parsing": words("read_bounded"),
}
"""Functions that take a path, by the module that has them."""
METHODS = words(
    "chmod exists glob hardlink_to is_block_device is_char_device is_dir is_fifo is_file is_junction is_mount is_socket "
    "is_symlink iterdir lchmod lstat mkdir owner read_bytes read_text readlink rename rglob rmdir samefile stat symlink_to "
    "touch unlink write_bytes write_text"
)
"""Methods of a path. `open` and `replace` are checked apart, because other objects have methods of these names."""
ALLOWED_RECEIVERS = {"self._folder", "self._study", "self.folder"}
"""Objects with a method of such a name that are a `StudyFolder` and not a path."""

OPENS_STUDY_FILES = {
    "ratui/study/store/folder.py": "it lists, renames and removes files in folders that `open_folder` has opened",
    "ratui/study/store/open_folder.py": "it is the module that opens files and folders inside a study",
    "ratui/study/store/descriptors.py": "it walks through a study by descriptor, for repairs",
    "ratui/study/store/journal.py": "it reads the journals in a folder that `folder` has opened",
    "ratui/study/store/journal_writer.py": "it appends to a journal in a folder that `folder` has opened",
    "ratui/study/store/access_lists.py": "it acts on descriptors that a walk has opened",
    "ratui/study/store/frozen_folder.py": "it holds files open that it has opened by descriptor",
    "ratui/study/store/file_systems.py": "it reads the list of mounted file systems in /proc",
    "ratui/study/store/lock_holder.py": "it acts on the descriptors of lock files, and looks in /proc for a start time",
    "ratui/study/store/locking.py": "it acts on the descriptors of lock files, which `folder` has opened",
    "ratui/study/store/study_lock.py": "it looks in /proc which processes have a lock file open",
}
OUTSIDE = {
    "ratui/study/copies/archive_limits.py": "an archive is outside the study",
    "ratui/study/copies/backup.py": "an archive is outside the study",
    "ratui/study/config_files.py": "it looks whether the folder of a new study is empty, before there is a study",
    "ratui/study/layout.py": "it makes the folder of a new study",
    "ratui/study/copies/restore.py": "it makes the folder of a new study, and gives it to its owner",
    "ratui/study/worklist_cache.py": "the cache of the account is outside the study",
    "ratui/study/evidence/signatures.py": "the list of signers is outside the study",
    "ratui/study/importing/files/archive_entries.py": "an archive is outside the study",
    "ratui/study/importing/reader/image_reader.py": "foreign images are outside the study",
    "ratui/study/importing/files/archives.py": "an archive is outside the study, and so is its temporary folder",
    "ratui/study/importing/files/xz_stream.py": "an archive is outside the study",
    "ratui/study/importing/reader/file_set.py": "it reads foreign files",
    "ratui/study/importing/import_report.py": "it writes a list beside the key",
    "ratui/study/importing/files/sources.py": "it lists foreign files",
    "ratui/study/importing/watched_folder.py": "it lists foreign files and writes a record beside the key",
    "ratui/study/importing/reader/own_films.py": "it reads the file of a film, open by descriptor, for a proof",
    "ratui/study/importing/planning/manifest.py": "a manifest is outside the study",
    "ratui/study/importing/reader/header_reader.py": "it reads foreign files",
    "ratui/study/importing/reader/picture_reader.py": "it reads foreign files",
    "ratui/study/importing/planning/plan_review.py": "it keeps a draft beside the key",
    "ratui/study/importing/persons/pseudonyms.py": "the key is outside the study",
    "ratui/results/export/exporter.py": "exports are outside the study",
    "ratui/results/export/json_document.py": "the schema is part of the package",
    "ratui/results/model_performance.py": "a report of the trainer is in a folder that the user names",
    "trainer/cli/application.py": "runs are in a folder that the user names",
    "trainer/cli/benchmark.py": "runs are in a folder that the user names",
    "trainer/cli/engine_options.py": "experiments are in folders that the user names",
    "trainer/cli/training.py": "runs are in a folder that the user names",
    "trainer/data/coco.py": "foreign data sets are outside the study",
    "trainer/data/coco_file.py": "foreign data sets are outside the study",
    "trainer/data/coco_images.py": "foreign data sets are outside the study",
    "trainer/data/cohort.py": "cohorts are kept in a folder that the user names",
    "trainer/data/image_cache.py": "the cache is outside the study",
    "trainer/data/phantoms.py": "simulated studies are made anew",
    "trainer/data/ram_h1200.py": "foreign data sets are outside the study",
    "trainer/data/ram_samples.py": "foreign data sets are outside the study",
    "trainer/evaluation/report.py": "reports are outside the study",
    "trainer/inference/film_pairs.py": "the table of pairs is outside the study",
    "trainer/inference/onnx_export.py": "the exported models are files that the user names",
    "trainer/inference/film_predictions.py": "the films and the table are in folders that the user names",
    "trainer/shipped/make.py": "the shipped weights are part of the package",
    "trainer/shipped/light.py": "the shipped weights are part of the package",
    "trainer/models/checkpoint_files.py": "checkpoints are in a folder that the user names",
    "trainer/training/model_domain.py": "checkpoints are in a folder that the user names",
    "trainer/models/torch_files.py": "files of weights are those that the user names",
    "trainer/training/lineage.py": "runs are in a folder that the user names",
    "trainer/training/metric_log.py": "runs are in a folder that the user names",
    "trainer/training/mlflow_log.py": "runs are in a folder that the user names",
    "trainer/training/model_card.py": "runs are in a folder that the user names",
    "trainer/training/runs.py": "runs are in a folder that the user names",
}
OUTSIDE_PACKAGES = {"trainer/experiments": "experiments are in folders that the user names"}


def file_accesses(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each expression of a module that could open, list or change a file by its path."""
    tree = ast.parse(source)
    modules = {"os": "os", "shutil": "shutil"}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update({each.asname or each.name: each.name for each in node.names})
        elif isinstance(node, ast.ImportFrom):
            known = FUNCTIONS.get(node.module or "", set())
            names.update(each.asname or each.name for each in node.names if each.name in known)
            modules.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and (node.id in names or node.id == "open"):
            yield node.lineno, node.id
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        receiver = ast.unparse(node.value)
        module = modules.get(receiver, receiver)
        if module in FUNCTIONS:
            if node.attr in FUNCTIONS[module]:
                yield node.lineno, f"{receiver}.{node.attr}"
        elif module in ("tempfile", "io", "os.path", "glob", "fileinput", "linecache"):
            if node.attr not in ("BytesIO", "StringIO", "gettempdir", "basename", "dirname"):
                yield node.lineno, f"{receiver}.{node.attr}"
        elif node.attr in METHODS and not is_study_folder(receiver):
            yield node.lineno, f"{receiver}.{node.attr}"
        elif node.attr == "open" and receiver not in ("Study", "cls", "packed", "KeyFile", "Image"):
            yield node.lineno, f"{receiver}.open"
    for node in ast.walk(tree):  # text has a method `replace` with two arguments, a path one with one
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace"
        if is_method and len(node.args) == 1 and not node.keywords:
            yield node.lineno, ast.unparse(node.func)


def is_study_folder(receiver: str) -> bool:
    return receiver in ALLOWED_RECEIVERS or receiver.endswith((".folder", "._folder"))


def modules() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def has_exception(module: str) -> bool:
    return module in {**OPENS_STUDY_FILES, **OUTSIDE} or any(module.startswith(f"{each}/") for each in OUTSIDE_PACKAGES)


@pytest.mark.parametrize("module", [module for module in modules() if not has_exception(module)])
def test_no_file_is_opened_by_its_path(module: str) -> None:
    found = list(file_accesses((ROOT / module).read_text(encoding="utf-8")))
    assert not found, f"{module} must use StudyFolder instead"


@pytest.mark.parametrize("module", [*OPENS_STUDY_FILES, *OUTSIDE])
def test_exceptions_are_needed(module: str) -> None:
    assert list(file_accesses((ROOT / module).read_text(encoding="utf-8"))), f"{module} needs no exception any more"


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "path.open()",
        "os.open('x', 0)",
        "from os import open as look\nlook('x', 0)",
        "import os as system\nsystem.stat('x')",
        "(study.path / 'x').exists()",
        "path.read_bytes()",
        "study.path.glob('*')",
        "list(map(Path.is_file, paths))",
        "path.replace(other)",
        "os.path.exists('x')",
        "import tempfile\ntempfile.mkdtemp()",
        "from ratui.files import write_bytes\nwrite_bytes(path, b'')",
        "from ratui import files\nfiles.write_bytes(path, b'')",
        "import io\nio.open('x')",
    ],
)
def test_what_counts_as_opening_a_file(line: str) -> None:
    assert list(file_accesses(line))


@pytest.mark.parametrize(
    "line",
    [
        "study.folder.exists('x')",
        "text.replace('a', 'b')",
        "replace(config, raters=())",
        "Study.open(path)",
        "os.fstat(3)",
        "os.close(3)",
        "import io\nio.BytesIO(b'')",
    ],
)
def test_what_does_not(line: str) -> None:
    assert not list(file_accesses(line))
