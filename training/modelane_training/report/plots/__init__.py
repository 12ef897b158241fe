"""One picture each, drawn by matplotlib into SVG that takes its colours from the page."""
