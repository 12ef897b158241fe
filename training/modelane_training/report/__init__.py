"""The report on a version: one HTML file that explains it to people.

Modules: `compose` makes the whole report from `inputs`; `learning`, `importances`, `confusion`, `calibration`
    and
`columns` compute one part each of the `diagnostics`; `plots` draws each picture as SVG; `page` renders the
HTML.
"""

#: Its name among a version's files.
FILE = "report.html"
