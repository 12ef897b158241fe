from sklearn.linear_model import LogisticRegression
from modelane_training.gate import Gate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import csv, scikit_learn

recipe = Recipe(
    model="iris", source=scikit_learn("iris"), estimator=LogisticRegression(max_iter=500),
    gate=Gate(promote_equal=True),
)
