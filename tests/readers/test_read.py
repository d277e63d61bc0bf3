import subprocess
import sys

import pytest

from triptych.core.errors import DataError, UnknownComponentError
from triptych.readers import registry
from triptych.readers.layouts import Reader, ReadOptions
from triptych.readers.read import read, reader_of


def test_every_name_is_a_reader():
    for name in registry:
        assert isinstance(registry.make(name), Reader)


def test_nothing_is_there(tmp_path):
    with pytest.raises(DataError, match=r"There is no file or folder .*gone. Check the path"):
        read(tmp_path / "gone")


def test_nothing_is_recognised(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "more").mkdir()
    with pytest.raises(
        DataError, match=r"no known layout. In it there is more/, notes.txt. The layouts are cosmx, h5ad"
    ):
        read(tmp_path)
    with pytest.raises(DataError, match="It is a file of type «.txt»"):
        read(tmp_path / "notes.txt")


def test_several_readers_recognise_it(tables):
    (tables / "x.h5ad").write_bytes(b"")
    with pytest.raises(DataError, match=r"looks like h5ad and tables. Say which with the option reader"):
        read(tables)
    assert read(tables, ReadOptions(reader="tables")).n_obs == 20


def test_unknown_reader(tables):
    with pytest.raises(UnknownComponentError, match="Did you mean tables"):
        read(tables, ReadOptions(reader="table"))


def test_a_folder_called_toy_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    with pytest.raises(DataError, match="no known layout"):
        read("./toy")


def test_each_layout_is_recognised_by_one_reader(st, visium, tables):
    assert type(reader_of(st())).__name__ == "SpatialTranscriptomics"
    folder = visium()
    assert type(reader_of(folder)).__name__ == "Visium"
    assert type(reader_of(folder.parent)).__name__ == "Visium"
    assert type(reader_of(tables)).__name__ == "Tables"


def test_listing_the_room_imports_nothing_heavy():
    code = (
        "import sys, triptych.readers as r; list(r.registry); "
        "sys.exit(any(m in sys.modules for m in ('anndata', 'pandas', 'torch', 'zarr')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
