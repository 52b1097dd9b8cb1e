"""Parts of a device that were made before it."""

from __future__ import annotations

from typing import Any

from ophyd import Component, Device

__all__ = ["Bound"]


class Bound(Component):
    """Component that is a device already: the one under its name in the owner's ``bound``.

    To bluesky and ophyd it is a part of its owner then, as one that the owner had made: it is read,
    staged, connected and destroyed with it.
    """

    def create_component(self, instance: Any) -> Device:
        """The device, with ``instance`` for its parent.

        Raises
        ------
        ValueError
            It is a part of another device.
        """
        part: Any = instance.bound[self.attr]
        if part.parent is not None:
            raise ValueError(
                f"{instance.name}.{self.attr}: {part.name} is a part of {part.parent.name} already"
            )
        # What ophyd is told when a device is made, and has no other way to hear of.
        part._parent, part._attr_name = instance, self.attr  # noqa: SLF001
        part.kind = self.kind
        return part
