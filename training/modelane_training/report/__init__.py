"""What a version is, for people: one HTML file.  gate → REPORT → publish.

material    what a run hands over
findings    what is computed for the report alone; on the card, too
learning, importances, confusion, calibration, columns    one finding each
plots/      one picture each, as SVG
page        all of it as HTML
command     ``modelane report``
"""

#: Its name among a version's files.
FILE = "report.html"
