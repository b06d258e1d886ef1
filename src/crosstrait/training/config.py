"""How a network is trained."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from crosstrait.settings import Settings


class TrainConfig(Settings):
    """Training settings of the networks; estimators only read ``protocol`` and ``scope``.

    Attributes
    ----------
    protocol
        ``masked``: a missing trait costs its cell. ``complete-cases``: the published rule, any
        sample with a missing selected trait is dropped, in training and in test.
        ``complete-training``: it is dropped in training and validation, and scored like any other,
        so that the model can be compared with masked ones.
    scope
        ``multi``: one model learns all traits together. ``single``: a model of its own for each.
    max_epochs, batch_size, micro_batch_size
        Passes over the training samples; samples a step; samples a forward pass (0: the whole
        batch), gradients being accumulated to the same step.
    optimizer, learning_rate, weight_decay
        Adam or AdamW; weight decay needs AdamW.
    schedule
        ``constant``; ``plateau``: rate x ``plateau_factor`` after ``plateau_patience`` epochs
        without a better validation loss, not below ``minimum_rate``; ``one_cycle``: warm-up to
        ``learning_rate`` and annealing to nearly zero over all steps.
    gradient_clip
        Largest gradient norm of a model; 0 is off.
    patience
        Epochs without a better validation loss before training stops; 0 is off.
    average_decay
        Decay a step of the bias-corrected exponential moving average of the weights, which then
        replaces them for validation and prediction; 0 is off.
    keep
        ``best``: the epoch with the lowest validation loss; ``last``: the last epoch.
    precision
        ``32``; ``bf16``: mixed, parameters stay float32; ``auto``: bf16 on a GPU that has it.
    device
        ``auto``: a GPU where there is one. Trainings of thousands of steps are compiled there.
    devices
        GPUs (processes, on a CPU) that train each network together, for one that is too large or
        too slow for one. ``batch_size`` stays the samples a step, which they share, so that the
        losses are those of one device up to the order of sums, and but for other dropout masks.
        It only says where a network trains: it is no part of `numbers`.
    """

    protocol: Literal["masked", "complete-training", "complete-cases"] = "masked"
    scope: Literal["multi", "single"] = "multi"
    max_epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=1)
    micro_batch_size: int = Field(default=0, ge=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "plateau", "one_cycle"] = "constant"
    plateau_factor: float = Field(default=0.75, gt=0, lt=1)
    plateau_patience: int = Field(default=5, ge=0)
    minimum_rate: float = Field(default=1e-7, ge=0)
    gradient_clip: float = Field(default=0.0, ge=0)
    patience: int = Field(default=0, ge=0)
    average_decay: float = Field(default=0.0, ge=0, lt=1)
    keep: Literal["best", "last"] = "best"
    precision: Literal["auto", "32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(default=1, ge=1)

    def numbers(self) -> dict[str, Any]:
        """Return, as JSON values, the settings that decide what a training gives."""
        return self.model_dump(mode="json", exclude={"devices"})

    @model_validator(mode="after")
    def _only_used_options(self) -> Self:
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("weight_decay needs optimizer = 'adamw'; 'adam' would ignore it")
        return self
