"""`modelane demo`: the whole of Modelane on one machine, shown and checked in a minute."""

from modelane_training.demo.command import demo

__all__ = ["demo"]
