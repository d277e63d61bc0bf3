"""Intervals and verdicts of a study against naive resampling."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from triptych.pipeline.study import Study
from triptych.studies.execute import Executed, Guess
from triptych.studies.loading import parse_design
from triptych.studies.resampling import ari_of_tables, block_tables, draws_of, resampled
from triptych.studies.summary import greater_is_better, pairs, references, summary
from triptych.studies.words import conclusions

from .test_design import FACTORS


@pytest.fixture
def codes(rng):
    truth = rng.integers(0, 4, 300)
    guess = np.where(rng.random(300) < 0.7, truth, rng.integers(0, 5, 300))
    return truth, guess, rng.integers(0, 9, 300)


def test_ari_of_a_table_is_scikit_learns(codes):
    truth, guess, blocks = codes
    whole = block_tables(truth, guess, blocks).sum(axis=0, keepdims=True)
    assert ari_of_tables(whole)[0] == pytest.approx(adjusted_rand_score(truth, guess), abs=1e-12)
    one = block_tables(truth * 0, guess * 0, blocks).sum(axis=0, keepdims=True)
    assert ari_of_tables(one)[0] == 1.0


def test_resamples_equal_scoring_repeated_rows(codes, rng):
    truth, guess, blocks = codes
    draws = draws_of(9, rng, draws=20)
    found = ari_of_tables(resampled(block_tables(truth, guess, blocks), draws))
    for value, draw in zip(found, draws.astype(int), strict=True):
        rows = np.concatenate([np.tile(np.flatnonzero(blocks == b), n) for b, n in enumerate(draw) if n])
        assert value == pytest.approx(adjusted_rand_score(truth[rows], guess[rows]), abs=1e-12)


def executed(table, good=0.9, bad=0.3, seeds=(0, 1)):
    """Two arms whose labels agree with the truth for a share of the spots, scored per sample."""
    study, rng = Study(table), np.random.default_rng(1)
    truth = study.codes("obs:truth", "study")[0]
    rows, guesses = [], []
    for arm, share in (("few · plain", bad), ("few · smooth", good)):
        for seed in seeds:
            codes = np.where(rng.random(len(truth)) < share, truth, rng.integers(0, 2, len(truth)))
            guesses.append(Guess(arm, "truth", seed, codes.astype(np.int16)))
            for sample in study.samples:
                at = study.rows(sample)
                rows.append({
                    "arm": arm, "k_from": "truth", "metric": "ari", "slot": "obs:domain", "sample": sample,
                    "donor": study.donors[sample], "fold": "", "seed": seed, "n": len(at), "k": 2.0,
                    "value": adjusted_rand_score(truth[at], codes[at]), "protocol": "transductive",
                    "seconds": 1.0, "low": np.nan, "high": np.nan,
                })  # fmt: skip
    return Executed(pd.DataFrame(rows), guesses, study)


def test_with_three_donors_donors_are_resampled(make_table):
    found = summary(executed(make_table(samples=("A1", "B1", "C1")))).set_index("arm")
    assert set(found["interval"]) == {"3 donors"}
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    assert found.loc["few · plain", "samples"] == 3
    assert found.loc["few · plain", "sd_seeds"] > 0


def test_with_fewer_donors_blocks_of_spots_are_resampled_and_arms_are_told_apart(make_table):
    done = executed(make_table(samples=("A1", "A2")))
    found = summary(done).set_index("arm")
    assert set(found["interval"]) == {"spatial blocks"}
    gap = pairs(done, "ari", references(parse_design(FACTORS, "s"))).iloc[0]
    assert gap["better"] == "better"
    assert gap["difference"] == pytest.approx(
        found.loc["few · smooth", "value"] - found.loc["few · plain", "value"]
    )
    assert gap["low"] <= gap["difference"] <= gap["high"]
    assert (gap["wins"], gap["of"]) == (2, 2)


def test_arms_that_agree_equally_are_not_told_apart(make_table):
    done = executed(make_table(samples=("A1", "A2")), good=0.6, bad=0.6)
    assert pairs(done, "ari", {"few · smooth": "few · plain"}).iloc[0]["better"] == "not told apart"


def test_references_of_factors():
    found = references(parse_design(FACTORS, "s"))
    assert found == {
        "few · smooth": "few · plain", "many · plain": "few · plain", "many · smooth": "many · plain",
    }  # fmt: skip


def test_agreement_with_the_donor_is_better_when_lower():
    assert greater_is_better("ari")
    assert not greater_is_better("ari:donor")


def test_sentences_follow_from_the_tables(make_table):
    done, design = executed(make_table(samples=("A1", "A2"))), parse_design(FACTORS, "s")
    gaps = pairs(done, "ari", references(design))
    said = conclusions(summary(done), gaps, design.levels(), "ari", asked=design.asked())
    assert said[0].startswith("With oracle K the highest mean ari is")
    assert said[0].endswith("few · smooth.")
    assert said[1].startswith("smooth against plain: better in 1, worse in 0, not told apart in 0 of 1")
