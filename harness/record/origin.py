"""The environment that figures depend on, besides the measured code."""

from harness.record.schema import Environment, Record


class Origin(Record):
    """The environment of figures: other machines and other versions round differently."""

    torch: str
    capability: str
    """Vector instructions that torch uses."""
    instructions: str
    """Vendor, model, instructions and cache, by which the libraries below torch choose their kernels."""
    machine: str
    hypothesis: str = ""
    """Version of Hypothesis, which draws the inputs; empty in a baseline from before it was recorded."""

    @classmethod
    def of(cls, environment: Environment) -> "Origin":
        """Return what of an environment the figures depend on."""
        build = environment.torch_build
        return cls(
            torch=environment.torch,
            capability=build.get("cpu capability", "unknown"),
            instructions=build.get("instructions", "unknown"),
            machine=environment.machine,
            hypothesis=environment.versions.get("hypothesis", ""),
        )

    def supersedes(self, other: "Origin") -> bool:
        """Whether it is the same kind of machine with another torch or Hypothesis."""
        return self != other and self == other.model_copy(update={"torch": self.torch, "hypothesis": self.hypothesis})

    def __str__(self) -> str:
        """Return it in words."""
        draws = f", Hypothesis {self.hypothesis}" if self.hypothesis else ""
        return f"torch {self.torch}{draws}, {self.capability}, {self.machine} ({self.instructions})"
