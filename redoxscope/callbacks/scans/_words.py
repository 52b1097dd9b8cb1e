"""Names of plans and axes as a person writes them."""

__all__ = ["words"]


def words(name: str) -> str:
    """``osa_x`` becomes ``OSA x``."""
    return " ".join("OSA" if word == "osa" else word for word in name.split("_"))
