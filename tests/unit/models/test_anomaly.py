"""Anomaly scores: causality to the last bit, plain-loop twins of the measures, spikes found, feedback heard."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly import familiar, oddness, score, scoring
from models.series import NOT_ENOUGH_DATA, STATUS_OK

T0 = datetime(2026, 1, 1)
STEP = timedelta(minutes=5)
COLUMNS = ["series_id", "time", "value", "expected", "score", "is_anomaly", "status"]


def history(values: np.ndarray, step: timedelta = STEP, series_id: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"series_id": [series_id] * len(values), "time": [T0 + step * i for i in range(len(values))], "value": values})


def daily(n: int, seed: int = 1) -> np.ndarray:
    return 100 + 20 * np.sin(2 * np.pi * np.arange(n) / 288) + np.random.default_rng(seed).normal(0, 2, n)


def times_of(n: int, step: timedelta = STEP) -> np.ndarray:
    return np.array([T0 + step * i for i in range(n)], "datetime64[us]")


def test_no_later_row_changes_an_earlier_one() -> None:
    values = np.round(daily(1500), 1)
    values[[300, 301, 900, 1200]] += [80, 80, -60, 300]
    values[1000:1400] += 30
    frame = history(values).filter(pl.int_range(pl.len()) % 37 != 5)
    told = pl.DataFrame({"series_id": ["a"], "time": [T0 + 900 * STEP], "is_false_alarm": [True]})
    for freq in (None, "5m"):
        whole = score(frame, freq=freq, feedback=told)
        for rows in (1, 50, 101, 250, 301, 700, 905, 1100, 1300, frame.height - 1):
            assert score(frame.head(rows), freq=freq, feedback=told).equals(whole.head(rows)), rows


def test_a_step_that_grows_later_changes_no_earlier_row() -> None:
    fast, slow = history(daily(2 * 1440), timedelta(minutes=1)), history(daily(4000), timedelta(minutes=30))
    both = pl.concat([fast, slow.with_columns(pl.col("time") + timedelta(days=2))])
    assert score(fast).equals(score(both).head(2 * 1440))


def test_tail_probability_and_beyond_past_equal_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oddness, "LOOKBACK", 20)
    values = np.round(np.random.default_rng(2).normal(size=100), 1)
    tail, beyond = oddness.tail_probability(values), oddness.beyond_past(values)
    for i in range(100):
        past = values[max(0, i - 19) : i + 1]
        assert tail[i] == pytest.approx(np.mean(past >= values[i]))
        before = values[:i]
        spread = np.ptp(before) if i else 0.0
        outside = max(values[i] - before.max(), before.min() - values[i], 0.0) if i else 0.0
        assert beyond[i] == pytest.approx(outside / spread if spread else 0.0)


@pytest.mark.parametrize(("n", "window"), [(0, 5), (3, 5), (10, 5), (301, 7), (50, 1)])
def test_a_window_forgets_what_has_left_it(n: int, window: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    values[20:21] = 1e17
    plain = [sum(values[max(i - window + 1, 0) : i + 1].tolist()) / window for i in range(n)]
    np.testing.assert_allclose(oddness.window_mean(values, window), plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("window", "half_life"), oddness.ENTROPY_WINDOWS)
def test_unlike_past_equals_the_plain_loop(window: int, half_life: int) -> None:
    values = np.random.default_rng(3).normal(size=500)
    values[400:] *= 3
    fast = oddness.unlike_past(values, window, half_life)
    keep = 0.5 ** (1 / half_life)

    def average(series: list[float]) -> float:
        weights = [keep ** (len(series) - 1 - i) for i in range(len(series))]
        return sum(w * x for w, x in zip(weights, series, strict=True)) / sum(weights)

    means = [values[0], *(average(values[:i].tolist()) for i in range(1, 500))]
    squares = [(v - m) ** 2 for v, m in zip(values, means, strict=True)]
    bins = []
    for i in range(500):
        spread = average(squares[:i]) ** 0.5 if i else 0.0
        z = (values[i] - means[i]) / spread if spread else 0.0
        bins.append(sum(z >= edge for edge in oddness.BIN_EDGES))
    for i in (250, 399, 420, 499):
        entropy = 0.0
        for k in range(5):
            recent = sum(b == k for b in bins[i - window + 1 : i + 1]) / window
            past = average([float(b == k) for b in bins[: i - window + 1]]) + 0.01
            entropy += recent * np.log(recent / past) if recent else 0.0
        assert fast[i] == pytest.approx(max(entropy, 0.0), rel=1e-9)
    assert fast[490] > 3 * fast[350:400].max()


def test_unfamiliar_equals_the_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiar, "REMEMBERED", 12)
    values = np.random.default_rng(7).normal(size=700).cumsum()
    values[300:303] += 40
    fast = familiar.unfamiliar(values)
    remembered: list[list[float]] = []
    met: list[int] = []
    used: dict[int, int] = {}
    for i in range(familiar.PATTERN - 1, 700):
        now = i - familiar.PATTERN + 1
        pattern = values[now : i + 1].tolist()
        reach = values[: i + 1].max() - values[: i + 1].min()
        apart = [sum(abs(a - b) for a, b in zip(pattern, other, strict=True)) / familiar.PATTERN for other in remembered]
        assert fast[i] == pytest.approx(min(apart) / reach if apart else 0.0, rel=1e-9), i
        if apart and min(apart) <= familiar.VIGILANCE * reach:
            used[now] = apart.index(min(apart))
        elif len(remembered) < 12:
            used[now] = len(remembered)
            remembered.append(pattern)
            met.append(now)
        else:
            used[now] = met.index(min(met))
            remembered[used[now]], met[used[now]] = pattern, now
        if now % 64 == 63:  # which pattern was met last is noted by the block
            for at in range(now - 63, now + 1):
                met[used[at]] = max(met[used[at]], at)
    assert fast[302] > 2 * np.median(fast)


def test_quiet_noise_is_not_odder_than_its_score_says() -> None:
    for seed in range(3):
        tail = 1 - score(history(daily(288 * 40, seed)), freq="5m")["score"].drop_nulls().to_numpy()
        assert 0.02 < np.mean(tail <= 0.1) < 0.1
        assert np.mean(tail <= 0.01) < 0.01


def test_the_forecast_equals_the_plain_loop() -> None:
    rng, n = np.random.default_rng(6), 4 * 7 * 6
    values = rng.normal(size=n) + np.tile([0.0, 3.0, 9.0, 1.0], n // 4) + np.repeat(rng.normal(0, 4, n // 4), 4)
    fast = oddness.expected(times_of(n, timedelta(hours=6)), values, timedelta(hours=6))

    def average(series: list[float], half_life: int) -> float:
        pairs = [(0.5 ** (k / half_life), x) for k, x in enumerate(x for x in reversed(series) if not np.isnan(x))]
        return sum(w * x for w, x in pairs) / sum(w for w, _ in pairs) if pairs else float("nan")

    made: list[list[float]] = [[], [], [], [], []]
    for i in range(n):
        days, weeks = values[i % 4 : i : 4], values[i % 28 : i : 28]
        day = float(np.median(days[-7:])) if days.size >= 2 else float("nan")
        week = float(np.median(weeks[-4:])) if weeks.size else float("nan")
        off_day, off_week = ([v - f for v, f in zip(values[:i], made[k], strict=True)] for k in (1, 3))
        now = [average(values[:i].tolist(), oddness.RECENT), day, day + average(off_day, oddness.LEVEL), week]
        now.append(week + average(off_week, oddness.LEVEL))
        records = [average([abs(v - f) for v, f in zip(values[:i], m, strict=True)], oddness.RECORD) for m in made]
        usable = [k for k in range(5) if not np.isnan(now[k] + records[k])]
        if usable:
            assert fast[i] == pytest.approx(now[min(usable, key=lambda k: records[k])], abs=1e-9), i
        for k in range(5):
            made[k].append(now[k])


def test_the_forecast_learns_the_day_and_follows_a_new_level() -> None:
    values = daily(288 * 14)
    values[288 * 10 :] += 50
    error = np.abs(values - oddness.expected(times_of(values.size), values, STEP))
    assert np.mean(error[288 * 5 : 288 * 10]) < 2.2  # noise of 2 around the best forecast leaves 1.6
    assert error[288 * 10] > 40
    assert np.mean(error[288 * 10 + 60 : 288 * 11]) < 6


def test_the_forecast_knows_the_weekend() -> None:
    hours = np.arange(24 * 7 * 6)
    values = np.where(hours // 24 % 7 >= 5, 10.0, 100.0) + np.where(hours % 24 == 3, 50.0, 0.0)
    forecast = oddness.expected(times_of(hours.size, timedelta(hours=1)), values, timedelta(hours=1))
    assert np.abs(values - forecast)[24 * 7 * 4 :].max() < 1e-9


def test_incidents_are_found_and_quiet_days_are_quiet() -> None:
    values = daily(288 * 21)
    incidents = {288 * 12 + 30: 60.0, 288 * 16 + 200: -50.0, 288 * 19 + 144: 45.0}
    for start, size in incidents.items():
        values[start : start + 12] += size
    result = score(history(values), freq="5m")
    assert result.columns == COLUMNS
    alarms = [(t - T0) / STEP for t in result.filter("is_anomaly")["time"]]
    for start in incidents:
        assert any(0 <= a - start < 12 for a in alarms)
    assert len(alarms) <= 12
    assert result["score"].drop_nulls().is_between(0, 1).all()


def test_alarms_of_one_series_keep_their_distance() -> None:
    values = np.random.default_rng(4).standard_t(2, 3000).cumsum()
    found = score(history(values), freq="5m").filter("is_anomaly")["time"].sort()
    assert found.len() > 1
    assert found.diff().drop_nulls().min() >= scoring.REFRACTORY


def test_a_false_alarm_quietens_what_is_no_odder_and_only_later_and_only_there() -> None:
    values = daily(288 * 14)
    for day, size in ((6, 60.0), (9, 60.0), (12, 200.0)):
        values[288 * day + 100] += size
    both = pl.concat([history(values), history(values, series_id="b")])
    places = [T0 + (288 * day + 100) * STEP for day in (6, 9, 12)]
    told = pl.DataFrame({"series_id": ["a", "a"], "time": places[:2], "is_false_alarm": [True, False]})

    def alarms(result: pl.DataFrame, series_id: str) -> list[bool]:
        spikes = pl.DataFrame({"series_id": [series_id] * 3, "time": places}, schema_overrides={"time": pl.Datetime("us")})
        return spikes.join(result, on=["series_id", "time"], maintain_order="left")["is_anomaly"].to_list()

    plain, taught = score(both, freq="5m"), score(both, freq="5m", feedback=told)
    assert alarms(plain, "a") == [True, True, True]
    assert alarms(taught, "a")[:2] == [True, False]
    assert alarms(taught, "b") == [True, True, True]
    assert taught["score"].equals(plain["score"])
    before = pl.col("time") <= places[0]
    assert taught.filter(before).equals(plain.filter(before))


def test_what_a_false_alarm_taught_fades() -> None:
    odd, told = np.full(20_000, 1.0), np.zeros(20_000, bool)
    told[[10, 500]] = True
    bar = scoring._harmless(odd, told)
    assert bar[10] == 0
    assert bar[11] == pytest.approx(1, abs=1e-3)
    assert bar[500 + oddness.LOOKBACK] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", np.full(300, 7.0)),
        ("zero-inflated", np.where(np.arange(300) % 50 == 0, 3.0, 0.0)),
        ("negative", -np.arange(300.0)),
        ("huge", np.where(np.arange(300) % 2 == 0, 1e149, -1e149)),
        ("tiny", np.where(np.arange(300) % 2 == 0, 1e-300, -1e-300)),
    ],
)
@pytest.mark.parametrize("step", [STEP, timedelta(minutes=7), timedelta(days=1), timedelta(days=30)])
def test_awkward_series_are_scored_without_exception(name: str, values: np.ndarray, step: timedelta) -> None:
    result = score(history(values, step))
    assert result["status"].to_list() == [NOT_ENOUGH_DATA] * scoring.WARM_UP + [STATUS_OK] * (300 - scoring.WARM_UP)
    assert result["score"].is_between(0, 1).sum() == 300 - scoring.WARM_UP
    if name == "constant":
        assert not result["is_anomaly"].any()
        assert set(result["expected"].drop_nulls()) == {7.0}


def test_missing_and_impossible_values_fail_their_row_alone() -> None:
    values = daily(400)
    values[[200, 210, 220]] = [np.nan, np.inf, 1e300]
    result = score(history(values), freq="5m")
    rows = result[[200, 210, 220]]
    assert rows["status"].to_list() == ["failed:the value is missing"] * 2 + ["failed:the value is beyond 1e150"]
    assert rows.select(pl.col("expected", "score", "is_anomaly").is_null().all()).row(0) == (True, True, True)
    assert (result["status"] == STATUS_OK).sum() == 400 - scoring.WARM_UP - 3


def test_short_and_empty_series_are_not_enough_data() -> None:
    both = pl.concat([history(np.array([1.0, 2.0])), history(np.full(150, np.nan), series_id="b")])
    result = score(both)
    assert set(result.filter(pl.col("series_id") == "a")["status"]) == {NOT_ENOUGH_DATA}
    assert set(result.filter(pl.col("series_id") == "b")["status"]) == {"failed:the value is missing"}
    assert score(both.clear()).columns == COLUMNS
    assert score(both.clear()).is_empty()


def test_order_and_repeats_do_not_matter() -> None:
    frame = pl.concat([history(daily(400)), history(daily(300, 2), series_id="b")])
    shuffled = pl.concat([frame, frame]).sample(fraction=1, shuffle=True, seed=5)
    assert score(shuffled).equals(score(frame))


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 1.0, -1.0, 5.5, 1e6, float("nan")]), min_size=101, max_size=180), st.data())
def test_causality_holds_for_any_values(values: list[float], data: st.DataObject) -> None:
    frame = history(np.array(values), timedelta(hours=1))
    rows = data.draw(st.integers(1, len(values)))
    assert score(frame.head(rows)).equals(score(frame).head(rows))


def test_it_is_fast() -> None:
    frame = history(daily(50_000))
    start = time.process_time()
    score(frame, freq="5m")
    assert time.process_time() - start < 3.0  # 0.6 s on a quiet machine


@pytest.mark.realdata
def test_scores_of_real_series_are_tail_probabilities(realdata: Path) -> None:
    files = sorted((realdata / "ms_cloud_monitoring").glob("*/*.csv"))
    frames = [pl.read_csv(file, schema_overrides={"Value": pl.Float64}).with_columns(series_id=pl.lit(file.stem)) for file in files]
    time = pl.col("TimeStamp").str.replace("T", " ").str.strip_suffix("Z").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    scored = score(pl.concat(frames).select("series_id", time=time, value="Value"))
    tail = 1 - scored["score"].drop_nulls().to_numpy()
    assert tail.size > 90_000
    for share in (0.1, 0.01, 0.001):  # 2.3% of the values are labelled as anomalous
        assert share / 2 < np.mean(tail <= share) < 2 * share


@pytest.mark.realdata
def test_the_known_outage_of_a_real_machine_is_found(realdata: Path) -> None:
    file = realdata / "nab" / "data" / "realKnownCause" / "machine_temperature_system_failure.csv"
    frame = pl.read_csv(file, try_parse_dates=True).select(series_id=pl.lit(1), time="timestamp", value="value")
    alarms = score(frame).filter("is_anomaly")["time"]
    outage = pl.lit(datetime(2014, 2, 7, 6, 55)), pl.lit(datetime(2014, 2, 9, 14, 5))
    assert pl.select(alarms.is_between(*outage).any()).item()
