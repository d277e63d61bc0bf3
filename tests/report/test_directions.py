"""Which way a score is good, in words and in the marks of its controls."""

import pytest

from triptych.report.directions import CEILING, FLOOR, controls, explained, higher_is_better, mixing, nuisance
from triptych.report.wording import digits_of, heading, metric_name, title


@pytest.mark.parametrize(
    ("metric", "slot", "better"),
    [
        ("ari", "obs:domain", True),
        ("ari:donor", "obs:domain", False),
        ("nmi:batch", "", False),
        ("ari:cell_type", "obs:domain", None),
        ("ilisi", "obs:batch", True),
        ("batch-silhouette", "obs:donor", True),
        ("kbet", "", True),
        ("ilisi", "obs:domain", False),
        ("silhouette", "obs:domain", True),
        ("silhouette", "obs:batch", False),
        ("clisi", "obs:batch", False),
        ("silhouette", "obs:batch in X_rna.pca", False),
        ("of-a-package-that-is-gone", "obs:domain", True),
        ("label-entropy", "obs:domain", False),
        ("label-entropy:donor", "obs:domain", True),
        ("types-found", "obs:domain", True),
        ("pq:new@elsewhere", "nuclei:found", True),
        ("dice:seen", "nuclei:found", True),
        ("count-error", "nuclei:found", False),
        ("count-error:new@elsewhere", "", False),
        ("jensen-shannon@elsewhere", "", False),
        ("ari:donor@elsewhere", "obs:domain", False),
        ("ari:new", "obs:domain", None),
    ],
)
def test_direction_of_a_score(metric, slot, better):
    assert higher_is_better(metric, slot) is better
    assert heading(metric, [slot]).endswith("(lower is better)") is (better is False)


def test_metrics_of_mixing_are_known_by_what_they_declare():
    assert all(map(mixing, ("ilisi", "kbet", "batch-silhouette")))
    assert not any(map(mixing, ("ari", "silhouette", "of-a-package-that-is-gone")))
    assert nuisance("ari", "obs:domain.donor") == ""
    assert nuisance("ari:donor", "obs:domain") == "donor"


def test_names_keep_their_letters_and_say_what_was_compared():
    assert title("ilisi") == "iLISI"
    assert title("kbet") == "kBET"
    assert title("silhouette") == "Silhouette"
    assert title("label-entropy") == "Label entropy"
    assert title("hungarian-accuracy") == "Hungarian accuracy"
    assert metric_name("ari:donor") == "ARI with the donor"
    assert metric_name("nmi:cell_type") == "NMI with obs:cell_type"
    assert heading("ari:donor") == "ARI with the donor (lower is better)"
    assert heading("silhouette", ["obs:domain", "obs:batch"]) == "Silhouette"  # they point both ways


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        ("pq@elsewhere", "Panoptic quality, other data"),
        ("pq:new@elsewhere", "Panoptic quality in new organs, other data"),
        ("dice:seen@elsewhere", "Dice in seen organs, other data"),
        ("aji", "AJI"),
        ("mpq-pooled", "Pooled panoptic quality, mean over types"),
        ("count-error@elsewhere", "Error of number, other data (lower is better)"),
        ("ari:new", "ARI with obs:new"),  # a column of that name
    ],
)
def test_metrics_of_nuclei_say_where_they_were_measured(metric, shown):
    assert heading(metric) == shown
    assert digits_of(metric) == (2 if metric == "ari:new" else 3)


def test_controls_of_nuclei_are_explained():
    assert explained("pq:new", "nuclei:found") == explained("type-f1", "nuclei:found") != ""


def test_shuffled_is_the_ceiling_of_mixing_and_the_floor_of_the_rest():
    assert controls("ari", "obs:domain")["control:shuffled"] == (FLOOR, "shuffled")
    assert controls("ilisi", "obs:batch")["control:shuffled"] == (CEILING, "shuffled (ceiling)")
    donor = controls("ari:donor", "obs:domain")
    assert donor["control:shuffled"] == (CEILING, "shuffled (best)")
    assert donor["control:oracle"] == (FLOOR, "donor itself (worst)")


def test_only_the_unusual_is_explained():
    assert explained("ari", "obs:domain") == explained("silhouette", "obs:domain") == ""
    assert explained("ari:donor", "obs:domain").startswith("Lower is better: a guess that follows the donor")
    assert explained("label-entropy:donor", "obs:domain").startswith("Higher is better: a guess that foll")
    assert "should mix the batches" in explained("ilisi", "obs:batch")
    assert "the ceiling of this score, not its floor" in explained("kbet", "obs:donor")
    assert "follows the donor is a batch effect" in explained("ari:donor", "obs:domain")
    assert explained("silhouette", "obs:batch").startswith("Lower is better: a space that tells the batches")
    assert explained("ilisi", "obs:domain").startswith("Lower is better: this is how far the labels mix")
    assert "neither more nor less" in explained("ari:cell_type", "obs:domain")
