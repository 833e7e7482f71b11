"""What is trained on what, in words: as captions, headers and logs say it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gdrun.config.foreign import PositiveSize, ShortText, Size, Text, YesNo

PLAIN = "sgd"  # the optimizer that goes without saying

# Each loss in words: in the units of the data, and for a standardised target.
LOSS_NAMES: Mapping[str, tuple[str, str]] = {
    "mse": ("MSE", "MSE ÷ variance of {each}; 1 = predicting the mean"),
    "half_mse": ("half MSE", "half MSE ÷ variance of {each}; 0.5 = predicting the mean"),
    "l1": ("mean absolute error", "mean absolute error ÷ deviation of {each}"),
    "huber": ("Huber loss", "Huber loss of the standardised {all}"),
    "cross_entropy": ("cross-entropy", "cross-entropy"),
    "bce": ("binary cross-entropy", "binary cross-entropy"),
}


@dataclass(frozen=True, slots=True)
class Description:
    """What is trained on what, as captions, headers and logs say it."""

    network: Text
    parameters: Size
    data: Text
    rows: PositiveSize
    val_rows: Size
    features: tuple[Text, ...]
    target: Text
    loss: ShortText
    standardized: YesNo
    device: ShortText
    classes: tuple[Text, ...] = ()
    optimizer: ShortText = PLAIN
    targets: tuple[Text, ...] = ()  # where there are several; `target` has all in one text
    is_given: YesNo = False  # from Python, and no part of what is saved

    @property
    def has_fit(self) -> bool:
        """Whether what is learned is a function of one number to one number.

        That may be the probability of one of two classes.
        """
        return len(self.features) == 1 and not self.targets and len(self.classes) in (0, 2)

    @property
    def has_regions(self) -> bool:
        """Whether what is learned are classes in a plane."""
        return len(self.features) == 2 and bool(self.classes)

    @property
    def loss_name(self) -> str:
        """The loss in words, with its unit where the target was standardised."""
        names = LOSS_NAMES.get(self.loss)
        if names is None:  # of a function of the user's
            return self.loss
        each, all_ = ("each target", "targets") if self.targets else (self.target, self.target)
        return names[self.standardized].format(each=each, all=all_)
