"""Pickled dictionaries equal what pickle reads; whatever else a pickle does is refused, and not done."""

import contextlib
import os
import pickle  # noqa: TID251
from collections import OrderedDict

import numpy as np
import pytest

from triptych.core.errors import WeightsError
from triptych.encoders.genes.geneformer_dictionaries import numbers, texts
from triptych.encoders.genes.geneformer_pickle import dictionary

PLAIN = {
    "integers": {"<pad>": 0, "a": 1, "b": 255, "c": 256, "d": 70_000, "e": -3, "f": 2**40},
    "floats": {"a": 0.5, "b": 1e-300, "c": float("inf")},
    "scalars": {"a": np.float64(1.25), "b": np.float64(2.5), "c": np.int64(7), "d": np.float32(0.1)},
    "other order": {"a": np.array([3.5], ">f8")[0], "b": np.uint8(200), "c": np.float16(2)},
    "text": {"A1BG": "ENSG00000121410", "µ": "x" * 300},
    "many": {f"ENSG{i:011d}": np.float64(i) / 3 for i in range(3000)},
    "same key twice": {"a": "long" * 100, "b": "long" * 100},
    "one": {"a": 1},
}  # fmt: skip


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", PLAIN)
def test_equals_what_pickle_reads(name, protocol):
    data = pickle.dumps(PLAIN[name], protocol)
    found = dictionary(data)
    assert found == pickle.loads(data)  # noqa: S301
    assert all(type(value) in (int, float, str) for value in found.values())


@pytest.mark.parametrize("older", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_scalars_of_both_generations_of_numpy(older):
    data = pickle.dumps({"a": np.float64(1.5)}, 2)
    for name in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        data = data.replace(name, older.encode())
    assert dictionary(data) == {"a": 1.5}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["value", "key", "whole"])
def test_a_pickle_that_runs_something_is_refused_and_runs_nothing(tmp_path, protocol, where):
    trap = Runs(tmp_path / "ran")
    held = {"value": {"a": trap}, "key": {trap: 1}, "whole": trap}[where]
    path = tmp_path / "token_dictionary.pkl"
    path.write_bytes(pickle.dumps(held, protocol))
    for read in (numbers, texts):
        with pytest.raises(
            WeightsError, match=r"is not a dictionary that is read here: it (names .*system|does)"
        ):
            read(path)
    assert not (tmp_path / "ran").exists()


def test_every_way_of_cutting_it_short_is_refused(tmp_path):
    data = pickle.dumps({"a": np.float64(1.5), "b": 2, "c": "text"}, 4)
    path = tmp_path / "d.pkl"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError, match="is not a dictionary that is read here"):
            numbers(path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_any_changed_byte_gives_a_dictionary_or_the_error(tmp_path, protocol):
    data = pickle.dumps({"a": np.float64(1.5), "b": 2, "c": 0.5}, protocol)
    rng, path, read = np.random.default_rng(0), tmp_path / "d.pkl", 0
    for place in range(len(data)):
        for value in rng.integers(0, 256, 3):
            path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
            with contextlib.suppress(WeightsError):
                read += len(numbers(path)) > 0
    assert read


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([1, 2], "does more than hold text and numbers"),
        (3, "holds no dictionary"),
        ("text", "holds no dictionary"),
        ({"a": {1, 2}}, "does more than hold"),
        ({"a": np.arange(3)}, "names numpy"),
        (OrderedDict(a=1), "names collections.OrderedDict"),
        ({"a": np.complex128(1)}, "numbers of the kind c16"),
        ({"a": np.str_("x")}, "numbers of the kind U1"),
        ({"a": np.datetime64("2020")}, "numbers of the kind M8"),
        ({(): 1}, "should give numbers by name"),
        ({"a": None}, "should give numbers by name, and gives None for 'a'"),
        ({"a": True}, "should give numbers by name"),
        ({"a": {"b": 1}}, "should give numbers by name"),
        ({}, "holds no names and values"),
    ],
)  # fmt: skip
def test_other_contents_are_refused(tmp_path, held, message):
    path = tmp_path / "d.pkl"
    path.write_bytes(pickle.dumps(held, 4))
    with pytest.raises(WeightsError, match=message):
        numbers(path)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02(u.", b"\x80\x02}u.", b"\x80\x02K\x01K\x02s.", b"\x80\x02h\x05.", b"\x80\x02.",
        b"\x80\x02R.", b"\x80\x02}(K\x01u.", b"\x80\x02K\x01K\x02R.", b"\x80\x02}}b.", b"\x80\x02q\x00.",
        b"\x80\x02}}.", b"\x80\x02}}K\x01s.", b"\x80\x02cnumpy\ndtype\n)R.", b"\x80\x02ctest\n.", b"",
        b"text",
    ],
)  # fmt: skip
def test_opcodes_that_make_no_sense(tmp_path, data):
    path = tmp_path / "d.pkl"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        numbers(path)


# the other formats


@pytest.mark.parametrize("heading", ["", "gene{0}token\n"])
@pytest.mark.parametrize(("suffix", "between"), [(".csv", ","), (".tsv", "\t")])
def test_tables(tmp_path, suffix, between, heading):
    path = tmp_path / f"d{suffix}"
    path.write_text(heading.format(between) + f"<pad>{between}0\nENSG1{between}2.5{between}more\n")
    assert numbers(path) == {"<pad>": 0, "ENSG1": 2.5}
    assert texts(path)["ENSG1"] == "2.5"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.csv", "", "it has no two columns"),
        ("d.csv", "a\nb\n", "it has no two columns"),
        ("d.csv", "gene,token\na,1\nb,two\n", "gives 'two' for 'b'"),
        ("d.json", "{", "is not a dictionary"),
        ("d.json", "[1]", "no names and values"),
        ("d.json", '{"a": "1"}', "gives '1' for 'a'"),
    ],
)
def test_damaged_text(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(WeightsError, match=message):
        numbers(tmp_path / name)


def test_bytes_that_are_no_text(tmp_path):
    for name in ("d.csv", "d.json"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00a")
        with pytest.raises(WeightsError, match="is not a dictionary"):
            numbers(tmp_path / name)


def test_entries_without_text_name_no_gene(tmp_path):
    path = tmp_path / "d.pkl"
    path.write_bytes(pickle.dumps({"a": "ENSG1", "b": None, 1.5: "ENSG2"}, 4))
    assert texts(path) == {"a": "ENSG1"}
    path.write_bytes(pickle.dumps({"a": 1}, 4))
    with pytest.raises(WeightsError, match="gives no text by name"):
        texts(path)
