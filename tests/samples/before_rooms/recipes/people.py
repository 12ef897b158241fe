from sklearn.linear_model import LogisticRegression
from modelane_training.gate import Gate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import csv, scikit_learn

recipe = Recipe(
    model="people", source=csv("people.csv"), target="left",
    candidates=("linear",), budget=Budget(trials=2, minutes=10),
)
