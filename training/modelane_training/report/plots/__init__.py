"""The pictures of the report: one module each, drawn by matplotlib as SVG with the colours of the page."""
