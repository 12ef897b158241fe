"""`modelane report`: where a version's report is, once its signature is found right."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from modelane.errors import NoSuchVersion, StoreError
from modelane_training.report import FILE
from modelane_worker.cli import known_model, known_version, open_store
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store

NEWEST = "newest"


@click.command()
@click.argument("model")
@click.option(
    "--version",
    "-v",
    help="An id, its beginning or end, champion, previous, or newest.  [default: champion, or the newest]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the report there, too; - is this terminal."
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def report(model: str, version: str | None, out: Path | None, show: bool) -> None:
    """Print the path of the report on a version of MODEL, one HTML file that needs nothing else.

    It says how the gate decided and why, and shows metrics with intervals, where the model is wrong,
    what it looks at, how the search went, and the data. Nothing is shown whose signature is not right.

    \b
    Example:
        modelane report churn --open
        modelane report churn --version newest       # the last one trained, promoted or not
        modelane report churn -v previous --out report.html
    """  # noqa: D301  # click wants a real backspace
    settings, store = open_store()
    wanted = _version(store, known_model(store, model), version)
    verified = store.read(model, wanted, TrustedKeys.load(settings.trusted_keys_path))
    if FILE not in verified.files:
        raise NoSuchVersion(
            f"{model} {wanted} has no report: it was made by an older Modelane, or without one"
        )
    path = (store.root / model / wanted / FILE).absolute()
    if out == Path("-"):
        click.echo(verified.files[FILE], nl=False)
        return
    if out is not None:
        path = _written(out, verified.files[FILE])
    click.echo(str(path))
    if show and not webbrowser.open(path.as_uri()):
        raise click.ClickException(f"no browser could be started here; open {path}")


def _version(store: Store, model: str, name: str | None) -> str:
    if name == NEWEST or (name is None and store.champion(model) is None):
        return store.versions(model)[-1]
    return known_version(store, model, name or "champion")


def _written(out: Path, html: bytes) -> Path:
    try:
        out.write_bytes(html)
    except OSError as exc:
        raise StoreError(f"{out} cannot be written: {exc.strerror}") from exc
    return out.absolute()
