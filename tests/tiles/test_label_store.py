"""Labelled tiles on disk: they come back as they were, whatever killed, changed or crossed their writer."""

import json
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from triptych.core.errors import DataError, OutputError
from triptych.core.nuclei import UNKNOWN, TileSource
from triptych.tiles.label_format import counted
from triptych.tiles.label_store import LabelStore, LabelStoreWriter

SIDE = 16
CLASSES = ("a", 'b, "c"')
ORGANS = ("colon", "NA", "breast")


def tile(number, side=SIDE):
    """Arrays of a tile, and what is said of it."""
    rng = np.random.default_rng(number)
    numbers = rng.choice([0, 0, 3, 9, 65_535], size=(4, 4)) * (number % 5 > 0)
    instances = np.kron(numbers, np.ones((side // 4, side // 4), np.int64))
    kinds = rng.choice([1, 2, UNKNOWN], 65_536)
    types = np.where(instances > 0, kinds[instances], 0).astype(np.uint8)
    ignore = rng.uniform(size=(side, side)) < 0.1
    image = rng.integers(0, 256, (side, side, 3), np.uint8)
    organ = ORGANS[number % 3]
    about = {
        "sample": f"S{number % 4}", "donor": "007", "organ": organ, "x_px": -5 * number, "y_px": number,
    }  # fmt: skip
    return (image, instances, types, ignore), about


def write(folder, count=11, shard_tiles=4, extra=None):
    writer = LabelStoreWriter(folder, CLASSES, 0.25, SIDE, shard_tiles=shard_tiles)
    for number in range(count):
        arrays, about = tile(number)
        writer.add(*arrays, about)
    writer.close(extra or {})
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "store")


@pytest.fixture
def store(folder):
    return LabelStore.open(folder)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(tiles, numbers):
    wanted = [tile(number)[0] for number in numbers]
    for name, kind, place in (("image", np.uint8, 0), ("instances", np.int32, 1), ("types", np.uint8, 2)):
        array = getattr(tiles, name)
        assert array.dtype == kind
        assert isinstance(array, np.ndarray)
        assert not isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, [one[place] for one in wanted])
    assert tiles.ignore.dtype == bool
    np.testing.assert_array_equal(tiles.ignore, [one[3] for one in wanted])


@pytest.mark.parametrize("shard_tiles", [1, 4, 11, 50])
def test_round_trip(tmp_path, shard_tiles, rng):
    store = LabelStore.open(write(tmp_path / "deep" / "store", shard_tiles=shard_tiles), check=True)
    assert isinstance(store, TileSource)
    assert (store.classes, store.mpp, store.tile_px, len(store)) == (CLASSES, 0.25, SIDE, 11)
    assert len(store.shards) == -(-11 // shard_tiles)
    for rows in (np.arange(11), np.array([7]), np.array([10, 0, 3, 3, 8]), rng.permutation(11)):
        check(store.take(rows), rows)
    abouts = [tile(number)[1] for number in range(11)]
    for column in ("sample", "donor", "organ", "x_px", "y_px"):
        assert store.about[column].tolist() == [about[column] for about in abouts]
    assert not list(store.folder.glob(".tmp-*"))


def test_the_table_counts_what_is_in_each_tile(store):
    for number, row in enumerate(store.about.to_dict("records")):
        _, instances, types, ignore = tile(number)[0]
        there = np.unique(instances[instances > 0])
        kinds = [types[instances == one][0] for one in there]
        assert row["tile"] == number
        assert row["nuclei"] == len(there)
        assert [row["n_a"], row['n_b, "c"'], row["untyped"]] == [kinds.count(k) for k in (1, 2, UNKNOWN)]
        assert row["ignored"] == pytest.approx(ignore.mean(), rel=1e-5)


def test_a_nucleus_of_two_types_is_of_the_more_frequent_one():
    instances = np.array([[7, 7, 7, 0, 2, 2]])
    types = np.array([[2, 1, 2, 0, UNKNOWN, UNKNOWN]], np.uint8)
    found = counted({"instances": instances, "types": types, "ignore": instances > 2}, 2)
    assert (found.nuclei, found.of_class.tolist(), found.untyped, found.ignored) == (2, [0, 1], 1, 0.5)


def test_the_manifest_tells_totals_and_what_it_was_given(tmp_path):
    quality = {"S0": {"score": np.float64(0.5), "used": np.bool_(True)}, "S1": {"score": float("nan")}}
    store = LabelStore.open(write(tmp_path / "s", extra={"quality": quality, "shift_px": np.arange(2)}))
    told, about = store.told, store.about
    assert told["quality"] == {"S0": {"score": 0.5, "used": True}, "S1": {"score": None}}
    assert told["shift_px"] == [0, 1]
    assert (told["tiles"], told["nuclei"]) == (11, about["nuclei"].sum())
    for kind in ("organ", "donor", "sample"):
        summed = about.groupby(kind)["nuclei"].agg(["size", "sum"])
        expected = {name: {"tiles": row["size"], "nuclei": row["sum"]} for name, row in summed.iterrows()}
        assert told["totals"][kind] == expected
    assert told["nuclei_of_class"] == {"a": about["n_a"].sum(), 'b, "c"': about['n_b, "c"'].sum()}
    assert told["share_untyped"] == pytest.approx(about["untyped"].sum() / about["nuclei"].sum())
    assert told["share_ignored"] == pytest.approx(about["ignored"].mean(), rel=1e-4)
    assert told["bytes_per_tile"] == 7 * SIDE**2
    text = (store.folder / "manifest.json").read_text()
    assert "NaN" not in text
    assert [shard["tiles"] for shard in told["shards"]] == [4, 4, 3]


def test_some_tiles_are_a_store_of_their_own(store):
    colon = store.where(organ="colon")
    assert colon.tolist() == [0, 3, 6, 9]
    assert store.where(organ=["NA", "breast"], sample=["S1", "S2"]).tolist() == [1, 2, 5, 10]
    assert store.where(donor=["007"]).tolist() == list(range(11))
    rest = store.subset(np.setdiff1d(np.arange(11), colon))
    assert isinstance(rest, TileSource)
    assert len(rest) == 7
    assert set(rest.about["organ"]) == {"NA", "breast"}
    check(rest.take(np.array([6, 0])), [10, 1])
    check(rest.subset(np.array([5, 5])).take(np.array([1])), [8])
    assert list(rest.about.index) == list(range(7))
    with pytest.raises(DataError, match=r"No tile has the organ colom\. Did you mean colon\?"):
        store.where(organ=["colom"])
    with pytest.raises(DataError, match="No tile has the organ colon. There is: NA, breast|breast"):
        rest.where(organ="colon")


def test_no_tile_that_is_not_asked_for_is_read(store):
    for one in (0, 2):
        shutil.rmtree(store.folder / store.shards[one])
    check(store.take(np.array([5, 7])), [5, 7])
    with pytest.raises(DataError, match=r"shard-00002.image\.npy is damaged or not there"):
        store.take(np.array([5, 9]))


def test_no_tiles_at_all(tmp_path):
    store = LabelStore.open(write(tmp_path / "s", count=0), check=True)
    assert len(store) == 0
    assert store.take(np.array([], int)).image.shape == (0, SIDE, SIDE, 3)
    assert store.told["share_untyped"] is None


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import test_label_store as own
writer = own.LabelStoreWriter(Path(sys.argv[1]), own.CLASSES, 0.25, own.SIDE, shard_tiles=4)
for number in range(int(sys.argv[3])):
    arrays, about = own.tile(number)
    writer.add(*arrays, about)
if sys.argv[4] == "half":  # of a shard
    (writer.folder / ".tmp-shard-00002").mkdir()
    (writer.folder / ".tmp-shard-00002" / "image.npy").write_bytes(b"half")
(writer.folder / ".tmp-manifest.json").write_text("ready")
time.sleep(60)
"""


@pytest.mark.parametrize(("tiles", "state"), [(9, "whole"), (11, "half"), (1, "whole")])
def test_a_killed_writer_leaves_no_store_and_the_next_one_starts_anew(tmp_path, folder, tiles, state):
    left = tmp_path / "left"
    command = [sys.executable, "-c", KILLED, str(left), str(Path(__file__).parent)]
    process = subprocess.Popen([*command, str(tiles), state])
    until = time.monotonic() + 60
    while not (left / ".tmp-manifest.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(list(left.glob("shard-*"))) == tiles // 4
    with pytest.raises(DataError, match="left holds no manifest.json: .*its writing was broken off"):
        LabelStore.open(left)
    assert files(write(left)) == files(folder)


def test_what_is_finished_or_someone_elses_is_not_touched(tmp_path, folder):
    before = files(folder)
    with pytest.raises(OutputError, match="store holds a finished store"):
        LabelStoreWriter(folder, CLASSES, 0.25, SIDE)
    assert files(folder) == before
    strange = tmp_path / "photos"
    strange.mkdir()
    (strange / "shard-00000").mkdir()
    (strange / "cat.jpg").write_text("")
    with pytest.raises(OutputError, match=r"photos is no folder of labelled tiles; it holds cat\.jpg"):
        LabelStoreWriter(strange, CLASSES, 0.25, SIDE)
    assert (strange / "shard-00000").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="The labelled tiles cannot be written to"):
        LabelStoreWriter(tmp_path / "file" / "store", CLASSES, 0.25, SIDE)


def test_a_changed_pixel_is_found_when_asked(folder):
    path = folder / "shard-00001" / "types.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    LabelStore.open(folder)
    with pytest.raises(DataError, match=r"shard-00001.types\.npy was changed"):
        LabelStore.open(folder, check=True)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-7])


def of_objects(path):
    np.save(path, np.array([{"a": 1}] * 4, object), allow_pickle=True)


DAMAGE = {
    "image cut": ("shard-00000/image.npy", truncated, "image.npy is damaged or not there"),
    "image empty": ("shard-00000/image.npy", lambda p: p.write_bytes(b""), "image.npy is damaged"),
    "no image": ("shard-00000/image.npy", lambda p: p.unlink(), "image.npy is damaged or not there"),
    "zip": ("shard-00000/types.npy", lambda p: p.write_bytes(b"PK\x03\x04" * 9), "types.npy is damaged"),
    "pickle": ("shard-00000/ignore.npy", of_objects, "ignore.npy is damaged"),
    "other shape": (
        "shard-00000/types.npy", lambda p: np.save(p, np.zeros((4, 2, 2), np.uint8)),
        r"holds uint8 of shape \(4, 2, 2\), not \(4, 16, 16\)",
    ),
    "other kind": (
        "shard-00000/types.npy", lambda p: np.save(p, np.zeros((4, 16, 16))), "holds float64 of shape"
    ),
    "table": ("tiles.csv", truncated, "tiles.csv was changed, or is not there"),
    "no table": ("tiles.csv", lambda p: p.unlink(), "tiles.csv was changed, or is not there"),
    "no json": ("manifest.json", truncated, "manifest.json is not that of labelled tiles"),
    "no text": ("manifest.json", lambda p: p.write_bytes(b"\xff\xfe"), "manifest.json is not that of"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told(folder, name):
    file, spoil, message = DAMAGE[name]
    spoil(folder / file)
    with pytest.raises(DataError, match=message):
        LabelStore.open(folder)


def test_all_damage_is_told_at_once(folder):
    (folder / "shard-00000" / "image.npy").unlink()
    truncated(folder / "shard-00002" / "types.npy")
    with pytest.raises(DataError, match="2 faults"):
        LabelStore.open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"kind": "photos"}, "kind: Input should be"),
        ({"mpp": 0}, "mpp: Input should be greater than 0"),
        ({"classes": None}, "classes"),
        ({"shards": []}, "does not list the tiles"),
        ({"classes": ["a"]}, "does not list the tiles"),
        (
            {"shards": [{"name": "../../etc", "tiles": 11, "sha256": {}}]},
            r"shards\.0\.name: String should match pattern",
        ),
    ],
)
def test_a_foreign_manifest_is_refused(folder, change, message):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message):
        LabelStore.open(folder)


def test_a_tile_that_does_not_fit_is_refused_and_not_written(tmp_path):
    writer = LabelStoreWriter(tmp_path, CLASSES, 0.25, SIDE)
    (image, instances, types, ignore), about = tile(1)

    def told(*arrays, about=about):
        with pytest.raises(DataError) as caught:
            writer.add(*arrays, about)
        return str(caught.value)

    assert told(image[:8], instances, types / 2, ignore) == (
        "tile 0: 2 faults\n  - image has shape (8, 16, 3); it needs (16, 16, 3).\n"
        "  - types is of float64; it needs whole numbers."
    )
    assert "image is of float64; it needs uint8" in told(image / 255, instances, types, ignore)
    assert "ignore is of int64; it needs bool or uint8" in told(image, instances, types, ignore.astype(int))
    assert "numbers of nuclei are negative" in told(image, -instances, types, ignore)
    assert "nuclei have numbers to 65536; 65535" in told(image, instances + (types > 0), types, ignore)
    assert "type that is none of the 2 classes" in told(
        image, instances, np.where(types > 0, 3, types), ignore
    )
    assert "a type but no nucleus, or a nucleus but no type" in told(image, instances, 0 * types, ignore)
    lacking = {"sample": "S", "donor": "D", "stain": "H&E"}
    found = told(image, instances, types, ignore, about=lacking)
    assert "tile 0: nothing is said of organ, x_px, y_px" in found.replace("2 faults\n  - ", "")
    assert "nobody keeps stain; told are sample, donor, organ, x_px, y_px" in found
    with pytest.raises(DataError, match="The manifest tells mpp by itself"):
        writer.close({"mpp": 1})


def test_a_store_that_could_not_be_read_is_not_begun(tmp_path):
    with pytest.raises(DataError) as caught:
        LabelStoreWriter(tmp_path, ["a"] * 300, 0.0, 0, shard_tiles=0)
    for told in (
        "5 faults", "300 classes; 254 are the most", "two classes have the same name", "mpp is 0.0",
        "tile_px is 0", "shard_tiles is 0",
    ):  # fmt: skip
        assert told in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_writing_holds_one_shard_and_reading_what_is_asked_for(tmp_path):
    """2 000 tiles of 64² px are 57 MB; a shard of 100 of them is 2.9 MB."""
    shard = 100 * 7 * 64**2
    arrays, about = tile(1, 64)
    tracemalloc.start()
    try:
        writer = LabelStoreWriter(tmp_path, CLASSES, 0.25, 64, shard_tiles=100)
        for _ in range(2000):
            writer.add(*arrays, about)
        writer.close({})
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        store = LabelStore.open(tmp_path)
        for start in range(0, 2000, 20):
            store.take(np.arange(start, start + 20))
        read = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.npy")) >= 20 * shard
    assert written < 2 * shard
    assert read < 2 * shard
