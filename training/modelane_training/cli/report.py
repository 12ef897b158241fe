"""`modelane report`: the report on a version, after its signature was verified."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from modelane.errors import NoSuchVersion, StoreError
from modelane_training.report import FILE
from modelane_worker.cli.store_arguments import find_model, find_version, open_store
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store

NEWEST = "newest"


@click.command()
@click.argument("model")
@click.option(
    "--version",
    "-v",
    help="Id of a version, its beginning or end, or an alias, or newest.  [default: champion, else newest]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Copy the report to this file; - prints it.")
@click.option("--open", "show", is_flag=True, help="Open the report in the browser.")
def report(model: str, version: str | None, out: Path | None, show: bool) -> None:
    """Show the report on a version of MODEL.

    Prints the path of the report, one HTML file without external resources. It explains the verdict of the
    gate, and shows metrics with intervals, errors, feature importances, the search, and the data. A report
    whose signature is wrong is not shown.

    \b
    Example:
        modelane report churn --open
        modelane report churn --version newest       # the newest version, promoted or not
        modelane report churn -v previous --out report.html
    """  # noqa: D301  # click wants a real backspace
    settings, store = open_store()
    wanted = _version(store, find_model(store, model), version)
    verified = store.read(model, wanted, TrustedKeys.load(settings.trusted_keys_path))
    if FILE not in verified.files:
        raise NoSuchVersion(f"{model} {wanted} has no report: it was published without one")
    path = (store.root / model / wanted / FILE).absolute()
    if out == Path("-"):
        click.echo(verified.files[FILE], nl=False)
        return
    if out is not None:
        path = _written(out, verified.files[FILE])
    click.echo(str(path))
    if show and not webbrowser.open(path.as_uri()):
        raise click.ClickException(f"cannot start a browser: open {path} yourself")


def _version(store: Store, model: str, name: str | None) -> str:
    if name == NEWEST or (name is None and store.champion(model) is None):
        return store.versions(model)[-1]
    return find_version(store, model, name or "champion")


def _written(out: Path, html: bytes) -> Path:
    try:
        out.write_bytes(html)
    except OSError as exc:
        raise StoreError(f"{out} cannot be written: {exc.strerror}") from exc
    return out.absolute()
