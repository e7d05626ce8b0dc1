from __future__ import annotations

import numpy as np
import pytest

from normlab.records.store import Predictions
from normlab.stats.data.layout import arrange
from normlab.stats.inference.new_images import group_means, image_claim, read_correct
from normlab.stats.summary.analysis import analyse


def test_variance_components_by_hand():
    """2 blocks × 3 images: MS_B = 3·var(block means), MS_I = 2·var(image means)."""
    d = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 1.0]])
    claim = image_claim(d)
    ms_block = 3 * np.var([1 / 3, 1 / 3], ddof=1)
    ms_image = 2 * np.var([1.0, -0.5, 0.5], ddof=1)
    total = ((d - d.mean()) ** 2).sum()
    ms_rest = (total - ms_block - 2 * ms_image) / 2
    variance = max(ms_block + ms_image - ms_rest, ms_rest) / 6
    half = (claim.interval.high - claim.interval.low) / 2
    assert claim.mean == pytest.approx(1 / 3)
    assert claim.error_images == pytest.approx(np.sqrt(ms_image / 6))
    assert claim.error_blocks == 0.0
    from scipy import stats

    df = (variance * 6) ** 2 / (ms_block**2 + ms_image**2 / 2 + ms_rest**2 / 2)
    assert claim.df == pytest.approx(df, rel=1e-10)
    assert half == pytest.approx(stats.t.ppf(0.975, df) * np.sqrt(variance), rel=1e-10)


def test_cochrans_quantile_where_blocks_matter_and_are_few():
    """Block means ±.4, image means ±.2, nothing else: MS_B = .96, MS_I = .08, MS_E = 0."""
    from scipy import stats

    d = np.array([[-0.4], [0.4]]) + np.array([[-0.2, 0.2, 0.0]])
    ms_block, ms_image = 3 * 0.32, 2 * 0.04
    claim = image_claim(d)
    weight = ms_block / (ms_block + ms_image)
    by_blocks, by_images = stats.t.ppf(0.975, [1, 2])
    cochran = weight * by_blocks + (1 - weight) * by_images
    assert cochran > stats.t.ppf(0.975, claim.df)
    expected = cochran * np.sqrt((ms_block + ms_image) / 6)
    assert claim.interval.high - claim.mean == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("images", [0.3, 4.0])
def test_few_blocks_that_matter_are_covered_too(images):
    """Five blocks, 40 images, effects of blocks ten times the residual; 3,000 studies."""
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(3000):
        block, image = np.sqrt(10 / 40), np.sqrt(images / 5)
        d = random.normal(0, block, (5, 1)) + random.normal(0, image, 40)
        claim = image_claim(d + random.normal(0, 1, (5, 40)))
        covered += claim.interval.low <= 0 <= claim.interval.high
    assert 0.935 <= covered / 3000 <= 0.965


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_new_images_are_covered_where_blocks_alone_are_not(blocks):
    """Crossed effects of blocks and images; 1,500 studies."""
    random = np.random.default_rng(blocks)
    covered = alone = 0
    for _ in range(1500):
        d = (
            random.normal(0, 0.05, (blocks, 1))
            + random.normal(0, 0.7, (1, 100))
            + random.normal(0, 0.5, (blocks, 100))
        )
        claim = image_claim(d)
        covered += claim.interval.low <= 0 <= claim.interval.high
        means = d.mean(1)
        alone += abs(means.mean()) <= 2 * means.std(ddof=1) / np.sqrt(blocks)
    assert covered / 1500 == pytest.approx(0.95, abs=0.018)
    assert alone / 1500 < 0.9


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7])
def test_images_in_groups_are_covered_as_groups_and_not_as_images(correlation):
    """40 groups of 10 images; 1,500 studies."""
    random = np.random.default_rng(int(10 * correlation))
    groups = np.repeat(np.arange(40), 10)
    covered = alone = 0
    for _ in range(1500):
        image = np.sqrt(correlation) * random.normal(size=40)[groups]
        image = image + np.sqrt(1 - correlation) * random.normal(size=400)
        drift = random.normal(0, 0.05, (5, 1))
        d = drift + 0.5 * image + random.normal(0, 0.8, (5, 400))
        claim, careless = image_claim(d, 0.05, groups), image_claim(d)
        covered += claim.interval.low <= 0 <= claim.interval.high
        alone += careless.interval.low <= 0 <= careless.interval.high
    assert covered / 1500 == pytest.approx(0.95, abs=0.015 + 2 * 0.0056)
    if correlation >= 0.3:
        assert alone / 1500 < 0.9


def test_groups_of_unequal_sizes_keep_the_mean_over_images():
    d = np.random.default_rng(1).integers(-1, 2, (4, 9)).astype(float)
    groups = np.array([0, 0, 0, 0, 1, 2, 2, 3, 3])
    means = group_means(d, groups)
    assert means.mean(1) == pytest.approx(d.mean(1))
    assert image_claim(d, 0.05, groups).mean == pytest.approx(d.mean())


def test_groups_of_one_are_images():
    d = np.random.default_rng(2).integers(-1, 2, (4, 9)).astype(float)
    assert image_claim(d, 0.05, np.arange(9)) == image_claim(d)


def test_nothing_varies_or_too_little_is_there():
    assert image_claim(np.zeros((3, 10))) is None
    assert image_claim(np.ones((1, 10))) is None


def test_a_study_has_the_claim_where_predictions_are(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=5)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    from normlab.stats.data.reading import read_study

    study = read_study(tmp_path)
    rows = {row.arm: row for row in analyse(plan, study.runs).settings[0].rows}
    assert rows["bn"].new_images is None
    assert rows["gn"].new_images is not None
    (layout,) = arrange(plan, study.runs)
    record = layout.record("gn", 0)
    before = read_correct(layout)
    changed = fabricate.RunFolder(record.folder)
    content = changed.read_predictions()
    changed.write_predictions(
        Predictions(np.array([f"x{i}" for i in content.ids]), content.labels, content.probabilities)
    )
    changed.write_outcome(record.outcome)  # which vouches for them
    after = read_correct(layout)
    assert set(before) - set(after) == {("gn", 0)}
