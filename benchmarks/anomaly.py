"""`python -m benchmarks.anomaly`: anomaly scores on human labels, beside the published results of other detectors.

The Numenta Anomaly Benchmark's files by its scorer, standard profile (`benchmarks.nab`): with the one threshold that does best on all
files, as the benchmark reports detectors; with thresholds chosen without the files they are judged on (five parts, the mean of 20
divisions; and leaving out one file); and with the default. An alarm is made of scores as the model makes it, with its refractory period.
Microsoft's cloud series: F1 of the scores against every labelled value, plain and point-adjusted (a labelled stretch with one hit counts as
found). Injected faults: is the true service first among the likely origins (`benchmarks.origins`)?"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import nab, origins
from benchmarks.sample_sets import real_data
from models.anomaly import score
from models.anomaly.scoring import THRESHOLD, alarms

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

THRESHOLDS = 1.0 - np.geomspace(0.05, 0.0001, 55)
PARTS, DIVISIONS, SEED = 5, 20, 0
PEER = "ARTime"


def scored_files(files: list[nab.LabelledFile]) -> tuple[list[Floats], float]:
    """The score of every row of each file, -1 where it has none, and the CPU seconds; of rows with one time the last is scored."""
    frames = [file.rows.with_columns(series_id=pl.lit(file.name)) for file in files]
    start = time.process_time()
    scored = score(pl.concat(frames).select("series_id", "time", "value"))
    seconds = time.process_time() - start
    last = pl.struct("series_id", "time").is_last_distinct()
    rows = pl.concat(frames).with_columns(last=last).join(scored, on=["series_id", "time"], how="left", maintain_order="left")
    found = rows.select("series_id", pl.when("last").then("score").fill_null(-1.0).alias("score"))
    return [found.filter(pl.col("series_id") == file.name)["score"].to_numpy() for file in files], seconds


def raw_scores(file: nab.LabelledFile, scores: Floats, thresholds: Floats) -> Floats:
    """The raw score of the file with the alarms of each threshold."""
    order = np.argsort(file.rows["time"].to_numpy(), kind="stable")
    times = file.rows["time"].to_numpy()[order]
    result = np.empty(thresholds.size)
    for k, threshold in enumerate(thresholds):
        alarm = np.zeros(scores.size, np.bool_)
        alarm[order] = alarms(times, scores[order] >= threshold)
        result[k] = nab.raw_score(file, alarm)
    return result


def fixed_elsewhere(raw: Floats, parts: npt.NDArray[np.int64]) -> float:
    """The raw score over all files when those of each part have the threshold that does best on the others.

    raw: (files, thresholds); parts: (files,) the part of each."""
    return float(sum(raw[parts == part][:, raw[parts != part].sum(axis=0).argmax()].sum() for part in np.unique(parts)))


def f1(labels: Labels, scores: Floats, threshold: float) -> float:
    """The harmonic mean of precision and recall of the values whose score reaches the threshold."""
    found = scores >= threshold
    return float(2 * (found & (labels == 1)).sum() / max(found.sum() + labels.sum(), 1))


def point_adjusted(labels: Labels, scores: Floats) -> Floats:
    """The scores, those of each labelled stretch raised to its highest."""
    raised = scores.copy()
    edges = np.diff(labels, prepend=0, append=0)
    for first, behind in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        raised[first:behind] = raised[first:behind].max()
    return raised


def on_nab(folder: Path) -> tuple[dict[str, float], int, float]:
    """Figures of the Numenta Anomaly Benchmark, with the table of files printed; points; CPU seconds."""
    files = nab.read_files(folder)
    windows = sum(len(file.windows) for file in files)
    scores, seconds = scored_files(files)
    raw = np.vstack([raw_scores(file, found, THRESHOLDS) for file, found in zip(files, scores, strict=True)])
    best = int(raw.sum(axis=0).argmax())
    default = np.array([raw_scores(file, found, np.array([THRESHOLD]))[0] for file, found in zip(files, scores, strict=True)])
    random = np.random.default_rng(SEED)
    divisions = [fixed_elsewhere(raw, random.permutation(len(files)) % PARTS) for _ in range(DIVISIONS)]
    figures = {
        "nab_standard": nab.normalised(float(raw[:, best].sum()), windows),
        "nab_fixed_threshold": nab.normalised(float(np.mean(divisions)), windows),
        "nab_left_one_out": nab.normalised(fixed_elsewhere(raw, np.arange(len(files))), windows),
        "nab_default_threshold": nab.normalised(float(default.sum()), windows),
    }
    published = pl.read_csv(folder / "published_per_file_scores.csv").filter(pl.col("Profile") == "standard")
    peer = dict(published.filter(pl.col("Detector") == PEER).select("File", "Score").iter_rows())
    print(f"{'file':58}{'rows':>8}{'windows':>9}{'best':>8}{'default':>9}{PEER:>8}   best: threshold {THRESHOLDS[best]:.5f}")
    for k, file in enumerate(files):
        print(f"{file.name:58}{file.rows.height:8}{len(file.windows):9}{raw[k, best]:8.2f}{default[k]:9.2f}{peer[file.name]:8.2f}")
    print(f"fixed on other files: {nab.normalised(min(divisions), windows):.1f} to {nab.normalised(max(divisions), windows):.1f}")
    for name, group in sorted(published.group_by("Detector")):
        print(f"published {name[0]!s:20}{nab.normalised(float(group['Score'].sum()), windows):8.2f}")
    return figures, sum(file.rows.height for file in files), seconds


def on_microsoft(folder: Path) -> tuple[dict[str, float], int, float]:
    """F1 over Microsoft's series, pooled, at the default threshold and at the best; points; CPU seconds."""
    moment = pl.col("TimeStamp").str.replace("T", " ").str.strip_suffix("Z").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    frames = [
        pl.read_csv(file, schema_overrides={"Value": pl.Float64}).select(
            series_id=pl.lit(f"{file.parent.name}/{file.stem}"), time=moment, value="Value", label=pl.col("Label").cast(pl.Int64)
        )
        for file in sorted(folder.glob("*/*.csv"))
    ]
    rows = pl.concat(frames)
    start = time.process_time()
    scored = score(rows.select("series_id", "time", "value"))
    seconds = time.process_time() - start
    rows = rows.join(scored, on=["series_id", "time"], how="left", maintain_order="left").with_columns(pl.col("score").fill_null(-1.0))
    parts = [(part["label"].to_numpy(), part["score"].to_numpy()) for part in rows.partition_by("series_id", maintain_order=True)]
    labels, plain = (np.concatenate(column) for column in zip(*parts, strict=True))
    adjusted = np.concatenate([point_adjusted(*part) for part in parts])
    print(f"\n{'Microsoft':58}{'rows':>8}{'labelled':>9}{'F1':>8}{'adjusted':>9}   at the default threshold {THRESHOLD}")
    for frame, (truth, found) in zip(frames, parts, strict=True):
        adjusted_f1 = f1(truth, point_adjusted(truth, found), THRESHOLD)
        print(f"{frame['series_id'][0]:58}{truth.size:8}{truth.sum():9}{f1(truth, found, THRESHOLD):8.3f}{adjusted_f1:9.3f}")
    grid = [*(1.0 - np.geomspace(0.5, 0.0001, 80)), THRESHOLD]
    figures = {
        "f1": f1(labels, plain, THRESHOLD),
        "f1_point_adjusted": f1(labels, adjusted, THRESHOLD),
        "f1_best": max(f1(labels, plain, threshold) for threshold in grid),
        "f1_point_adjusted_best": max(f1(labels, adjusted, threshold) for threshold in grid),
    }
    return figures, labels.size, seconds


def of_origins(folder: Path) -> dict[str, float]:
    """The share of injected faults whose true service stands among the first 1, 3 and 5, for each set."""
    figures = {}
    for name, places in origins.places(folder):
        for first in (1, 3, 5):
            figures[f"{name}_top_{first}"] = sum(place is not None and place <= first for place in places) / len(places)
        print(f"{name}: place of the true service in {len(places)} faults, 0 where it has no anomaly: {[place or 0 for place in places]}")
    return figures


def main() -> None:
    """Measure and print; the last line is JSON."""
    folder = real_data()
    if folder is None:
        raise SystemExit("the real data sets are not at ../shared/data; set LAKEBED_REALDATA to their folder")
    print(f"python {platform.python_version()}, polars {pl.__version__}, numpy {np.__version__}, seed {SEED}\n")
    figures, points, seconds = on_nab(folder / "nab")
    labelled, more_points, more_seconds = on_microsoft(folder / "ms_cloud_monitoring")
    print()
    traced = of_origins(folder)
    speed = (points + more_points) / (seconds + more_seconds)
    rounded = {name: round(value, 3) for name, value in {**figures, **labelled, **traced}.items()}
    print(json.dumps({**rounded, "points_per_cpu_s": round(speed)}))


if __name__ == "__main__":
    main()
