from sklearn.linear_model import LogisticRegression
from modelane_training.gate import Gate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import csv, scikit_learn

recipe = Recipe(
    model="searched", source=scikit_learn("iris"), candidates=("linear",), budget=Budget(trials=8, minutes=10)
)
