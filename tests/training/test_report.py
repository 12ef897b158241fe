"""The report on a version: its content, completeness, safety and size, and the command that shows it."""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelane.cli import main
from modelane_training.dataset.table import Table
from modelane_training.evaluation import bootstrap, slices
from modelane_training.evaluation.baseline import baseline
from modelane_training.evaluation.evaluate import assess
from modelane_training.evaluation.predictions import predict
from modelane_training.evaluation.task_defaults import positive_class
from modelane_training.gate import Gate, decide
from modelane_training.recipe import Recipe
from modelane_training.report import compose as composing
from modelane_training.report.compose import MAX_BYTES, compose
from modelane_training.report.diagnostics import Diagnostics
from modelane_training.report.importances import importances
from modelane_training.report.inputs import ReportInputs
from modelane_training.report.learning import learning_curve
from modelane_training.report.plots.confusion import confusion_matrix
from modelane_training.search.cv_folds import folds
from support.services import is_missing
from training.conftest import Trainer

HOSTILE = "<script>alert('$x$')</script>"
N = 400


def churn() -> Table:
    """Return rows of text and numbers, with names that try to inject HTML."""
    random = np.random.default_rng(0)
    plan = random.choice(["basic", "pro", HOSTILE], size=N, p=[0.6, 0.3, 0.1])
    months, noise = random.exponential(20, N), random.normal(size=N)
    left = random.random(N) < 1 / (1 + np.exp(0.3 * months - 3 - (plan == "basic")))
    rows = pd.DataFrame({"plan": plan, "months": months, f"noise {HOSTILE}": noise})
    return Table.of(rows, np.where(left, f"gone {HOSTILE}", "stays"), source=f"here {HOSTILE}")


def pipeline(final):
    words = (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object))
    return make_pipeline(make_column_transformer(words, remainder="passthrough"), final)


def material(table, estimator, metric, task="classification", *, champion=None, trials=()):
    """Return the report's input as a run would pass it; the last quarter of the rows is held out."""
    n = len(table) * 3 // 4
    training, hold_out = table.take(np.arange(n)), table.take(np.arange(n, len(table)))

    positive = positive_class(table.targets) if task == "classification" else None

    def answers(of):
        of.fit(training.matrix(), training.targets)
        return predict(of, hold_out.matrix(), hold_out.targets, task, positive=positive)

    ours, theirs = answers(estimator), None if champion is None else answers(champion)
    recipe = Recipe(model="churn", source=lambda target: table, target="left", metric=metric, task=task)
    evaluation = assess(
        metric,
        ours,
        bootstrap.draw(len(hold_out), seed=0),
        baseline=baseline(training.targets, hold_out.targets, task, metric, positive=positive),
        champion=theirs,
        slices=slices.cut(hold_out),
    )
    return ReportInputs(
        recipe=recipe.resolve(table),
        version="20261122T000002-00000002",
        created=datetime(2026, 11, 22, tzinfo=UTC),
        seed=2,
        table=table,
        training=training,
        hold_out=hold_out,
        estimator=estimator,
        answers=ours,
        evaluation=evaluation,
        verdict=decide(Gate(), evaluation),
        champion=None if champion is None else "20261122T000001-00000001",
        champion_answers=theirs,
        trials=trials,
    )


def trial(number, score, state="finished"):
    params = {"C": 0.12345, "select": HOSTILE}
    return SimpleNamespace(
        number=number, candidate="logistic", params=params, state=state, score=score, seconds=0.5
    )


@pytest.fixture(scope="module")
def two_classes():
    trials = [trial(0, 0.7), trial(1, 0.8), trial(2, 0.75, "pruned"), trial(3, None, "failed")]
    made = material(
        churn(),
        pipeline(LogisticRegression()),
        "roc_auc",
        champion=pipeline(DecisionTreeClassifier(max_depth=1)),
        trials=trials,
    )
    return made, compose(made)


def headings(page: bytes) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page.decode())


def test_a_report_has_all_sections_and_starts_with_the_verdict(two_classes):
    made, report = two_classes

    assert headings(report.html) == [
        "Metrics",
        "Predictions by class",
        "ROC and precision-recall",
        "Calibration",
        "Learning curve",
        "Feature importance",
        "Slices",
        "Search",
        "Data",
        "Reproduce this version",
        "Not in this report",
    ]
    page = html.unescape(report.html.decode())
    assert page.index(made.verdict.reason) < page.index("<h2")
    assert made.table.sha256() in page
    assert all(len(re.findall(f"<svg[^>]*{word}", page)) == 8 for word in ('role="img"', 'aria-label="'))


def test_every_metric_of_candidate_champion_and_baseline_is_in_the_report(two_classes):
    made, report = two_classes
    page = report.html.decode()

    for scores in (made.evaluation.scores, made.evaluation.champion, made.evaluation.baseline):
        for name, value in scores.metrics.items():
            assert f">{name}<" in page
            assert f"{value:.4f}" in page


def test_a_report_loads_no_external_resources_and_escapes_names_from_data(two_classes):
    _, report = two_classes
    page = report.html.decode()

    assert "<script" not in page
    assert "&lt;script&gt;alert" in page
    assert not re.findall(r'(?:src|href)="(?!#|data:,)', page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "url(" not in re.sub(r"url\(#", "", page)


def test_ids_in_a_report_are_unique(two_classes):
    _, report = two_classes
    ids = re.findall(r'\bid="([^"]+)"', report.html.decode())

    repeated = {one for one in ids if ids.count(one) > 1}
    assert not repeated


def test_the_same_numbers_give_the_same_picture(two_classes):
    _, report = two_classes

    assert confusion_matrix(report.diagnostics.confusion) in report.html.decode()


@pytest.fixture
def quick(monkeypatch):
    """Leave out the slow parts."""
    monkeypatch.setattr(composing, "_learning", lambda material: ((), ""))
    monkeypatch.setattr(composing.importances, "importances", lambda material: ((), ""))


def test_many_classes_are_one_matrix_that_combines_the_rarest(quick):
    random = np.random.default_rng(0)
    rows, targets = random.normal(size=(900, 2)), random.integers(15, size=900)
    rows[:, 0] += targets * 3
    made = material(Table.of(rows, targets), DecisionTreeClassifier(max_depth=6), "accuracy")

    report = compose(made)

    found = report.diagnostics.confusion
    assert len(found.labels) == 12
    assert found.labels[-1] == "4 others"
    assert np.sum(found.counts) == 225
    assert {"ROC and precision-recall", "Calibration"} <= set(headings(report.html))


def test_the_report_of_a_regression_has_residuals_and_no_classes():
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 2))
    made = material(
        Table.of(rows, rows.sum(1) + random.normal(size=200)), LinearRegression(), "rmse", "regression"
    )

    report = compose(made)

    titles = headings(report.html)
    assert "Predicted and actual values" in titles
    assert not {"Predictions by class", "ROC and precision-recall", "Calibration", "Search"} & set(titles)
    assert "The residuals should look random" in report.html.decode()


def test_the_report_lists_what_an_estimator_without_probabilities_cannot_show(quick):
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 2))
    made = material(Table.of(rows, (rows[:, 0] > 0).astype(int)), LinearSVC(), "roc_auc")

    report = compose(made)

    assert "ROC and precision-recall" in headings(report.html)
    assert "Calibration" not in headings(report.html)
    assert "calibration: the estimator gives no probabilities" in " ".join(report.diagnostics.left_out)


def test_a_section_that_fails_is_left_out_with_the_reason(two_classes, quick, monkeypatch):
    made, _ = two_classes

    def fail(*args):
        raise ZeroDivisionError(f"in {HOSTILE}")

    monkeypatch.setattr(composing.importances, "importances", fail)
    report = compose(made)

    assert "Feature importance" not in headings(report.html)
    assert f"feature importance: ZeroDivisionError: in {HOSTILE}" in report.diagnostics.left_out
    assert b"<script" not in report.html


def test_a_wide_table_with_long_names_stays_small(quick):
    random = np.random.default_rng(0)
    names = tuple(f"{number}{'<&>' * 3000}" for number in range(300))
    targets = np.array([f"{number}{'&' * 5000}" for number in random.integers(14, size=400)])
    made = material(
        Table.of(random.normal(size=(400, 300)), targets, names=names),
        DecisionTreeClassifier(max_depth=3),
        "accuracy",
    )
    made = replace(made, trials=[trial(number, 0.5) for number in range(3000)])

    report = compose(made)

    assert len(report.html) < MAX_BYTES
    assert len(msgspec.json.encode(report.diagnostics)) < MAX_BYTES


def test_a_page_that_is_too_large_is_written_without_pictures(two_classes, quick, monkeypatch):
    made, _ = two_classes
    monkeypatch.setattr(composing, "MAX_BYTES", 50_000)

    smaller = compose(made)

    assert b"<svg" not in smaller.html
    assert "pictures: with them the page would be larger" in " ".join(smaller.diagnostics.left_out)


def test_the_most_important_columns_come_first(two_classes):
    made, _ = two_classes

    found, left_out = importances(made)

    assert found[0].column == "months"
    assert found[0].low > 0.02
    assert not left_out


def test_importances_and_learning_curve_keep_their_time_limit(two_classes):
    made, _ = two_classes
    seconds = count()

    found, left_out = importances(made, limit_s=1.5, clock=lambda: next(seconds))
    assert len(found) == 1
    assert "feature importance of 2 columns" in left_out

    points, left_out = learning_curve(
        made, folds(made.training, "classification", 0), limit_s=12, clock=lambda: next(seconds)
    )
    assert 1 <= len(points) < 5
    assert f"learning curve beyond {points[-1].n_rows} rows" in left_out


def test_the_learning_curve_improves_with_more_rows():
    random = np.random.default_rng(0)
    rows = random.normal(size=(800, 20))
    made = material(
        Table.of(rows, rows.sum(1) + random.normal(size=800)), LinearRegression(), "r2", "regression"
    )

    points, _ = learning_curve(made, folds(made.training, "regression", 0))

    assert len(points) == 5
    assert points[0].mean < points[-1].mean
    assert points[0].trained > points[0].mean


def recipe(**kwargs) -> Recipe:
    return Recipe(
        model="churn",
        source=lambda target: churn(),
        target="left",
        metric="roc_auc",
        estimator=pipeline(LogisticRegression()),
        **kwargs,
    )


def test_a_run_publishes_its_report_and_the_same_numbers_on_its_card(trainer):
    outcome = trainer.run(recipe(), report=True)

    assert trainer.steps[-3:] == ["report", "publish", "promote"]
    verified = trainer.store.read("churn", outcome.version, trainer.trusted)
    page = verified.files["report.html"].decode()
    found = msgspec.convert(verified.card.evaluation["findings"], Diagnostics)
    for each in found.learning:
        assert f"{each.mean:.4f}" in page
    for each in found.importances:
        assert f"{each.low:.4f} to {each.high:.4f}" in page or "e-" in page
    assert sum(map(sum, found.confusion.counts)) == verified.card.evaluation["n_rows"]


def test_a_failed_report_is_shown_as_progress_and_does_not_fail_the_run(trainer, monkeypatch):
    def fail(material):
        raise OSError("no space for fonts")

    monkeypatch.setattr(composing, "compose", fail)
    outcome = trainer.run(recipe(), report=True)

    assert trainer.store.champion("churn") == outcome.version
    assert "report.html" not in trainer.store.read("churn", outcome.version, trainer.trusted).files
    assert "no space for fonts" in trainer.said["report"][1]


def test_a_run_that_is_cancelled_during_its_report_publishes_nothing(trainer, monkeypatch):
    def cancelled(material):
        raise KeyboardInterrupt

    monkeypatch.setattr(composing, "compose", cancelled)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(recipe(), report=True)

    assert trainer.store.models() == []


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """Publish a champion, a newer version that the gate refused, and one without a report."""
    trainer = Trainer(tmp_path_factory.mktemp("stocked"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            composing,
            "compose",
            lambda material: composing.Report(b"<p>" + material.version.encode(), Diagnostics()),
        )
        first, second, bare = (trainer.run(recipe(), report=report) for report in (True, True, False))
    assert (first.verdict.promote, second.verdict.promote) == (True, False)
    return trainer.home, first.version, second.version, bare.version


@pytest.fixture
def shop(stocked, tmp_path, monkeypatch):
    home, first, second, bare = stocked
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("MODELANE_HOME", str(tmp_path / "home"))
    models = tmp_path / "home/models"
    return SimpleNamespace(models=models, first=first, second=second, bare=bare)


def ask_for(*arguments: str):
    return CliRunner().invoke(main, ["report", *arguments])


def test_the_command_prints_the_path_of_the_champions_report(shop):
    result = ask_for("churn")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"{shop.models}/churn/{shop.first}/report.html\n"


@pytest.mark.parametrize("name", ["second", "the end of it"])
def test_the_command_finds_other_versions(shop, name):
    wanted = shop.second if name == "second" else shop.second[-8:]

    assert shop.second in ask_for("churn", "--version", wanted).stdout


def test_the_command_writes_the_report_to_a_given_path(shop, tmp_path):
    result = ask_for("churn", "-v", "champion", "--out", str(tmp_path / "it.html"))

    assert result.stdout == f"{tmp_path}/it.html\n"
    assert (tmp_path / "it.html").read_text() == f"<p>{shop.first}"
    assert ask_for("churn", "--out", "-").stdout == f"<p>{shop.first}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chrun"], "did you mean churn?"),
        (["churn", "-v", "previous"], "has no previous"),
        (["churn", "-v", "20200101T000000-00000000"], "has no version"),
        (["churn", "-v", "newest"], "has no report"),
        (["churn", "--out", "/nowhere/it.html"], "/nowhere/it.html cannot be written: No such file"),
    ],
)
def test_an_error_of_the_command_is_one_sentence(shop, arguments, sentence):
    result = ask_for(*arguments)

    assert result.exit_code != 0
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_a_report_that_was_changed_after_signing_is_not_shown(shop):
    (shop.models / "churn" / shop.first / "report.html").write_text("<p>all is well")

    result = ask_for("churn")

    assert result.exit_code != 0
    assert "report.html does not match the sha256 and size on the signed card" in result.output
    assert result.stdout == ""


@pytest.mark.full
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_a_browser_shows_the_report_without_a_request_or_an_error(two_classes, tmp_path, scheme, width):
    names = ("chromium", "chromium-browser", "google-chrome")
    browser_path = next(filter(None, map(shutil.which, names)), None)
    if browser_path is None:
        is_missing("no Chromium here (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    _, report = two_classes
    (tmp_path / "report.html").write_bytes(report.html)
    said, asked = [], []

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())

        # Then the browser requests only the file and reports no error
        assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]
        assert said == []
        # And every section is there, fits the window, and has its colours
        assert page.locator("h2").all_inner_texts() == headings(report.html)
        assert page.locator("svg").count() == 8
        assert all(box["width"] > 200 for box in (svg.bounding_box() for svg in page.locator("svg").all()))
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(19, 22, 26)")
        line = page.locator("#roc-figure_1 path").first.evaluate("node => getComputedStyle(node).stroke")
        assert line.startswith("rgb(") or line == "none"
        browser.close()
