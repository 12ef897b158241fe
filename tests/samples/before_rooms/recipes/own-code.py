from sklearn.linear_model import LogisticRegression
from modelane_training.gate import Gate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import csv, scikit_learn

class Doubtful(LogisticRegression):
    def predict_proba(self, rows):
        return (super().predict_proba(rows) + 0.5) / 2.5


recipe = Recipe(model="own-code", source=scikit_learn("iris"), estimator=Doubtful(max_iter=500))
