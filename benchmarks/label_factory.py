"""What the label factory makes of sections whose truth is known: registration, types, confidence, by noise.

    OMP_NUM_THREADS=1 python benchmarks/label_factory.py --data DATA [--noise 1 2 4] [--neoplastic 0.5]

DATA holds consep, monuseg and lymph_visium_ref. Transcripts are simulated for nuclei that were outlined by
hand (`triptych simulate`), the default dials times --noise (shares at most 0.9), in all sections of consep
(colon) and of monuseg's breast and kidney; its prostate stays unseen. Nuclei of monuseg have no known types:
those by their shape stand in, and transcripts follow these. Printed are

- registration: how far, in pixels, the nuclei of a section lie from where a hand drew them, median over its
  nuclei, "before" and "after" `stain-correlation`; "by_hand" is how far that moves outlines which were never
  displaced, because hand and haematoxylin differ or it errs, and "moved" how far from there it puts the
  displaced ones; the median and the worst over sections;
- types: the share of nuclei whose likeliest type is right, of each type and on average over types; "ECE", the
  expected calibration error; "unsure", the share below --least, and the accuracy without these; "spurious",
  the share of outlines without a nucleus that get a type all the same; a neoplastic nucleus counts as
  epithelial unless --neoplastic is given, and then only for annotators that tell it apart;
- reliability: in bins of confidence, how sure the annotator was and how often it was right.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from triptych.annotators.cluster_vote import ClusterVote
from triptych.annotators.hierarchical import Hierarchical
from triptych.annotators.marker_score import MarkerScore
from triptych.core.errors import TriptychWarning
from triptych.core.slots import SAMPLE
from triptych.maths.reliability import calibration_error, reliability
from triptych.maths.simulated_dials import Dials, Warp
from triptych.pipeline.registering import gathered, registered
from triptych.pipeline.simulating import simulate, true_displacement
from triptych.pipeline.simulating_settings import Settings
from triptych.pipeline.study import STUDY, Study
from triptych.readers.read import read
from triptych.registrars.stain_correlation import StainCorrelation

UNSEEN = "prostate"
AMOUNTS = ("counts", "dispersion", "spill_um")  # no noise
LENGTHS = ("shift_um", "scale", "jitter_um")
CLASSES = {2: "inflammatory", 3: "epithelial", 4: "connective"}


def times(cls: type, noise: float) -> Dials | Warp:
    """The default dials with more noise."""
    values = {one.name: getattr(cls(), one.name) for one in fields(cls)}
    return cls(**{
        name: value if name in AMOUNTS else value * noise if name in LENGTHS else min(0.9, value * noise)
        for name, value in values.items()
    })  # fmt: skip


def settings_for(given: argparse.Namespace, noise: float) -> Settings:
    return Settings(
        given.data / "lymph_visium_ref" / "sc_ref.h5ad", classes=CLASSES, organs={"consep": "colon"},
        group=True, neoplastic=given.neoplastic, seed=given.seed, held=(UNSEEN,),
        dials=times(Dials, noise), warp=times(Warp, noise),
    )  # fmt: skip


def truth_of(folder: Path, study: Study) -> np.ndarray:
    """The type by which the transcripts of each row were drawn; empty for none, «spurious» for no nucleus."""
    names = []
    for sample in study.about.index:
        obs = study.table.obs.iloc[study.rows(sample)]
        known = pd.read_csv(folder / "truth" / "simulated" / f"{sample}.csv", keep_default_na=False)
        types = pd.Series(known["type"].to_numpy(), known["instance"].astype(str))
        names.append(pd.Series(types.reindex(obs["cell_id"].astype(str)).to_numpy(), study.rows(sample)))
    return pd.concat(names).sort_index().fillna("spurious").to_numpy(str)


def errors_of(study: Study, about: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Of each section how far its nuclei lie from where they belong; of each nucleus the way there."""
    rows, ways = {}, {}
    for sample in study.about.index:
        given = gathered(study, sample)
        seen = given["section"].centres_px
        places, found = registered(StainCorrelation(), given)
        one = true_displacement(about.loc[sample].to_dict())
        belongs = (seen - one.centre_px - np.array([one.dx_px, one.dy_px])) / one.scale + one.centre_px
        before, after = (float(np.median(np.hypot(*(p - belongs).T))) for p in (seen, places))
        cells = study.table.obs["cell_id"].iloc[study.rows(sample)].astype(str)
        ways[sample] = pd.DataFrame(places - belongs, cells, ["x", "y"])
        rows[sample] = {
            "organ": about.loc[sample, "organ"], "nuclei": len(seen), "before": before, "after": after,
            "score": found.score, "refused": bool(found.refused),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index"), ways


def undisplaced(given: argparse.Namespace, folder: Path) -> dict[str, pd.DataFrame]:
    """By how much the registrar moves outlines that lie exactly where they were drawn by hand."""
    settings = replace(settings_for(given, 1.0), dials=Dials(counts=5, background=0.1), warp=times(Warp, 0.0))
    made = simulate(given.folders, folder, settings).set_index("sample")
    return errors_of(Study(read(str(folder))), made)[1]


def show_registration(
    study: Study, made: pd.DataFrame, still: dict[str, pd.DataFrame], *, each: bool
) -> None:
    """Print a line for each organ, and one for each section if wanted."""
    found, ways = errors_of(study, made)
    for sample, way in ways.items():
        both = way.index.intersection(still[sample].index)
        apart = way.loc[both].to_numpy() - still[sample].loc[both].to_numpy()
        found.loc[sample, "moved"] = float(np.median(np.hypot(*apart.T)))
        found.loc[sample, "by_hand"] = float(np.median(np.hypot(*still[sample].to_numpy().T)))
    for organ, part in found.groupby("organ"):
        kept = part[~part["refused"]]
        told = "; ".join(
            f"{name} median {kept[name].median():.2f} worst {kept[name].max():.2f} "
            f"({np.mean(kept[name] <= 1):.0%} ≤ 1)"
            for name in ("before", "after", "moved", "by_hand")
        )
        print(f"  {organ:<7} {len(part):2d} sections, {part['refused'].sum()} refused; px {told}", flush=True)
    if each:
        print(found.round(2).to_string())


def show_types(name: str, component, study: Study, truth: np.ndarray, least: float) -> pd.DataFrame:
    """Print one line; the reliability table."""
    start = time.perf_counter()
    made = component.annotate(
        study.counts(STUDY), study.codes(SAMPLE, STUDY)[0], None, np.random.default_rng(0)
    )
    seconds = time.perf_counter() - start
    code, sure = made.best(0.0)
    guess = np.append(made.classes, "")[code]
    if "neoplastic" not in made.classes or "neoplastic" not in truth:
        guess, truth = (np.where(v == "neoplastic", "epithelial", v) for v in (guess, truth))
    judged = np.isin(truth, np.unique(truth[(truth != "") & (truth != "spurious")])) & (code >= 0)
    right = guess == truth
    kinds = sorted(set(truth[judged]))
    each = {kind: right[judged & (truth == kind)].mean() for kind in kinds}
    bold, spurious = judged & (sure >= least), truth == "spurious"
    table = reliability(sure[judged], right[judged])
    cells = " ".join(f"{kind} {share:.3f}" for kind, share in each.items())
    print(
        f"  {name:<22} mean {np.mean(list(each.values())):.3f}  {cells}  all {right[judged].mean():.3f}  "
        f"ECE {calibration_error(table):.3f}  unsure {1 - bold.sum() / judged.sum():.3f}  "
        f"sure {right[bold].mean():.3f}  spurious {np.mean(sure[spurious] >= least):.3f}  {seconds:.0f} s",
        flush=True,
    )
    return table


def one(given: argparse.Namespace, noise: float, folder: Path, still: dict[str, pd.DataFrame]) -> None:
    settings = settings_for(given, noise)
    made = simulate(given.folders, folder, settings).set_index("sample")
    study = Study(read(str(folder)))
    print(f"noise × {noise:g}: {settings.dials} {settings.warp}")
    show_registration(study, made, still, each=given.sections)
    truth = truth_of(folder, study)
    tables = {
        name: show_types(name, component, study, truth, given.least)
        for name, component in (
            ("marker-score", MarkerScore()), ("cluster-vote", ClusterVote()),
            ("hierarchical", Hierarchical()),
            ("hierarchical, off", Hierarchical(neoplastic=False)),
        )
    }  # fmt: skip
    bins = pd.concat(
        {name: table.set_index("low").drop(columns="high") for name, table in tables.items()}, axis=1
    )
    print(bins.round(2).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--noise", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--neoplastic", type=float, default=0.0)
    parser.add_argument("--least", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sections", action="store_true", help="registration section by section")
    given = parser.parse_args()
    warnings.simplefilter("ignore", TriptychWarning)
    given.folders = [given.data / "consep", given.data / "monuseg"]
    with tempfile.TemporaryDirectory() as place:
        still = undisplaced(given, Path(place) / "still")
        for noise in given.noise:
            one(given, noise, Path(place) / f"noise-{noise:g}", still)


if __name__ == "__main__":
    main()
