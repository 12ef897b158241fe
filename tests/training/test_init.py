"""`modelane init`: the recipe that it writes from data, its output, and its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from modelane.cli import main
from modelane_training.preparation.prepare import prepare
from modelane_training.recipe_loader import recipe_of


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DATABASE_URL", raising=False)


def init(*arguments: str):
    return CliRunner().invoke(main, ["init", *arguments])


def customers(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, n).round(1)
    left = age + rng.normal(0, 9, n) > 42
    return pd.DataFrame(
        {
            "customer id": [f"c{number:05}" for number in rng.permutation(n)],
            "age": age,
            "plan": rng.choice(["solo", "team", None], n),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "country": "DE",
            "cancel_fee": np.where(left, rng.uniform(1, 9, n), 0),
            "left": np.where(left, "yes", "no"),
        }
    )


@pytest.fixture
def data() -> str:
    customers().to_csv("churn.csv", index=False)
    return "churn.csv"


def test_a_recipe_is_written_and_explained_and_the_next_command_is_shown(data):
    result = init("churn", "--data", data, "--target", "left")

    assert result.exit_code == 0, result.output
    for words in (
        "400 rows of 3 columns from churn.csv",
        "left out: 'customer id' identifies the row",
        "left out: 'country' has the same value in all rows",
        "left out: 'cancel_fee' gives the target away (recall 100.0%)",
        "task: classification of 'left' (no ",
        "metric: roc_auc: how well the two classes are separated",
        "wrote recipes/churn.py\nnext: modelane train churn\n",
    ):
        assert words in result.output


def test_the_written_recipe_works_from_any_folder(data, tmp_path, monkeypatch):
    init("churn", "--data", data, "--target", "left")
    monkeypatch.chdir("/")

    recipe = recipe_of("churn", tmp_path / "recipes")
    prepared = prepare(recipe.collect(), recipe)

    assert prepared.table.names == ("age", "plan", "since")
    assert (recipe.task, recipe.metric, recipe.estimator) == ("classification", "roc_auc", None)


def test_an_existing_recipe_is_replaced_only_on_request(data):
    init("churn", "--data", data, "--target", "left")
    Path("recipes/churn.py").write_text("mine")

    refused = init("churn", "--data", data, "--target", "left")
    assert (refused.exit_code, Path("recipes/churn.py").read_text()) == (1, "mine")
    assert "recipes/churn.py exists already: use --force to overwrite it" in refused.output

    assert init("churn", "--data", data, "--target", "left", "--force").exit_code == 0
    assert "Recipe(" in Path("recipes/churn.py").read_text()


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "folder"])
def test_other_file_formats_are_read_too(kind):
    Path("data").mkdir()
    match kind:
        case "parquet":
            customers().to_parquet(where := "data/churn.parquet")
        case "jsonl":
            customers().to_json(where := "data/churn.jsonl", orient="records", lines=True, date_format="iso")
        case "folder":
            customers()[:200].to_csv("data/1.csv", index=False)
            customers()[200:].to_csv("data/2.csv", index=False)
            where = "data"

    result = init("churn", "--data", where, "--target", "left")

    assert result.exit_code == 0, result.output
    assert recipe_of("churn", Path("recipes")).collect().names == ("age", "plan", "since")


def test_a_query_is_read_and_the_recipe_does_not_contain_the_password(monkeypatch):
    engine = sa.create_engine("sqlite:///crm.db")
    customers().to_sql("customers", engine, index=False)
    engine.dispose()
    query = ["--query", "SELECT * FROM customers", "--target", "left"]

    assert init("open", "--sql", "sqlite:///crm.db", *query).exit_code == 0
    anywhere = Path("crm.db").absolute()
    assert f'sql("sqlite:///{anywhere}"' in Path("recipes/open.py").read_text()

    with pytest.warns(sa.exc.SAWarning):  # SQLite takes no password
        result = init("hidden", "--sql", "sqlite:///crm.db?password=s3cret", *query)
    assert "s3cret" not in result.output + Path("recipes/hidden.py").read_text()
    monkeypatch.setenv("DATABASE_URL", "sqlite:///crm.db")
    result = init("hidden", "--force", *query)
    assert "the recipe does not contain it" in result.output
    assert 'sql(os.environ["DATABASE_URL"]' in Path("recipes/hidden.py").read_text()
    assert len(recipe_of("hidden", Path("recipes")).collect()) == 400


def test_a_decimal_comma_and_a_legacy_encoding_are_detected():
    frame = customers().assign(plan="größer")
    frame.loc[::2, "plan"] = "kleiner"
    frame.to_csv("churn.csv", sep=";", decimal=",", index=False, encoding="cp1252")

    result = init("churn", "--data", "churn.csv", "--target", "left")

    assert "numbers have a decimal comma" in result.output
    assert "read as cp1252" in result.output
    table = recipe_of("churn", Path("recipes")).collect()
    assert dict(zip(table.names, table.features, strict=True))["age"].dtype == "float64"


@pytest.mark.parametrize(
    ("target", "metric"),
    [
        (lambda n: np.linspace(0, 1, n) ** 2, "r2"),
        (lambda n: np.where(np.arange(n) % 20, "no", "yes"), "average_precision"),
        (lambda n: np.arange(n) % 3, "accuracy"),
        (lambda n: np.array(["c", "a", "a", "a", "b", "b", "b", "a", "b", "a"] * 40), "balanced_accuracy"),
    ],
)  # fmt: skip
def test_the_metric_fits_the_target(target, metric):
    frame = customers().sample(frac=1, random_state=1)
    frame.assign(y=target(400)).drop(columns="left").to_csv("data.csv", index=False)

    result = init("m", "--data", "data.csv", "--target", "y")

    assert f"metric: {metric}: " in result.output


def test_column_names_that_look_like_code_are_quoted():
    nasty = 'a"), __import__("os").system("touch pwned") #\n\\é😀'
    frame = customers()[["age", "left"]].assign(**{nasty: "x"}).rename(columns={"left": 'l"\\'})
    frame.to_parquet("data.parquet")

    result = init("m", "--data", "data.parquet", "--target", 'l"\\')

    assert result.exit_code == 0, result.output
    assert recipe_of("m", Path("recipes")).leave_out == (nasty,)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--data", "none.csv", "--target", "left"], 1, "none.csv does not exist"),
        (["--data", "churn.csv", "--target", "Left"], 1, "has no column 'Left': did you mean 'left'?"),
        (["--data", "churn.csv", "--target", "customer id"], 1, "the target has 400 classes in 400 rows"),
        (["--data", "churn.csv", "--target", "country"], 1, "the target is DE in every row"),
        (["--data", "notes.txt", "--target", "x"], 1, "expected a file that ends in .csv"),
        (["--target", "left"], 2, "give either --data FILE, or --query"),
        (["--data", "churn.csv"], 2, "--target"),
        (["--query", "SELECT 1", "--target", "x"], 2, "--query needs --sql URL"),
        (["--data", "churn.csv", "--sql", "sqlite://", "--target", "x"], 2, "--sql needs --query"),
    ],
)
def test_an_error_explains_the_reason_and_writes_no_file(data, arguments, code, sentence):
    Path("notes.txt").touch()

    result = init("churn", *arguments)

    assert result.exit_code == code, result.output
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert not Path("recipes").exists()


def test_an_invalid_model_name_is_refused(data):
    result = init("../churn", "--data", data, "--target", "left")

    assert result.exit_code != 0
    assert "is not a model's name" in result.output
    assert [path.name for path in Path().iterdir()] == ["churn.csv"]
